"""Measurements of a run that pictures show, each on its own and without a screen."""
