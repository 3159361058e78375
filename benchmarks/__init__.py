"""Measurements of speed, printed as tables. They never assert on the clock: what a machine does besides is not a fault.

python -m benchmarks.frames          # from training to the screen: frames, sliders, sessions, memory
"""
