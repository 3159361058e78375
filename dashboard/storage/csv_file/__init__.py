"""A table as somebody has it, in a file of comma-separated values."""
