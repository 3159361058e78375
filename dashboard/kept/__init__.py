"""Kept runs: the shelf they stand on, the list of them, and their pictures beside the run's own."""
