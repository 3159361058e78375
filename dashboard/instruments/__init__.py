"""Instruments: one picture per file."""
