"""Races of optimizers down a surface."""
