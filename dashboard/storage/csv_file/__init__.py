"""A user's table, in a file of comma-separated values."""
