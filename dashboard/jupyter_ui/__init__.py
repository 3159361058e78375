"""The laboratory in the cells of a notebook."""
