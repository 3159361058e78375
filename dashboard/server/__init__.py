"""Plumbing between Panel, Bokeh and Tornado and the laboratory."""
