"""Trainings that are solved exactly, one world a file: its line of theory, its runs, and the page's run."""
