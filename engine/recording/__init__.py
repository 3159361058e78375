"""The epochs of one run, in bounded memory, and a run as one file.

    recording = Recording.of(history, settings={"units": 16}, seeds={"network": 0}, checkpoint=training.checkpoint())
    save("run.npz", recording)
    recording = load("run.npz")
    history, checkpoint = recording.history(), recording.checkpoint
    summary("run.npz").settings                      # without reading all of it

The file is NumPy's own .npz: `numpy.load(path)["loss"]` reads a column of it anywhere.
"""

from engine.recording.file import Summary, load, recording_in, save, summary
from engine.recording.history import History, first_in_stride
from engine.recording.recording import Recording

__all__ = ["History", "Recording", "Summary", "first_in_stride", "load", "recording_in", "save", "summary"]
