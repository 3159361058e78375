"""The command line: `descent-lab`, which is `python -m dashboard`."""
