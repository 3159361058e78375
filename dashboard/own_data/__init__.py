"""A visitor's own examples: a file of a spreadsheet, or points drawn by hand."""
