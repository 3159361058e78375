"""Measurements of speed, printed as tables. They never assert on the clock: what a machine does besides is not a fault.

python -m benchmarks.races           # the engine beside PyTorch, JAX, scikit-learn and a textbook
python -m benchmarks.experiments     # what the experiments should show, and what they do
python -m benchmarks.frames          # from training to the screen: frames, sliders, sessions, memory
"""
