"""Pages as files that need no laboratory."""
