"""Trainings whose outcome is known exactly, one theory a file: what a run of the engine is held against."""
