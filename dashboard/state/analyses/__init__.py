"""Measurements of a run that pictures show, each testable without a screen."""
