"""A map of runs: two settings vary along its sides, and every pixel is a run that can be opened."""

import pickle
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from engine.sweep.axis import Axis
from engine.sweep.grid import EVERYWHERE, differing, on_grid, sources, strides
from engine.sweep.identity import digest, engine_version
from engine.sweep.measures import Measure, measures_by_name
from engine.sweep.pixel import Outcome, Recipe, compute
from engine.sweep.recipe import training_of
from engine.sweep.tile_folder import TileFolder
from engine.training import Training
from engine.worker_pool import Workers, cores, processes

TILE_SECONDS = 1.0
"""About how long a tile takes."""

FIRST_TILE = 2
"""How many pixels a tile has before any has been timed."""

LOOK_SECONDS = 2.0
"""How often the folder is searched for tiles of others."""

TRIALS = 3
"""How often a tile may be lost, with its worker, before the map gives up."""

MOST_PIXELS = 2**20
IN_MEMORY = "The map goes on in memory"


@dataclass(frozen=True)
class Progress:
    """How far a map has come.

    Attributes:
        tiles: How many have been finished here or found in the folder.
        pixels: How many are computed.
        expected: How many are likely to be, in the end; exact once the last pass is planned.
        stride: Of the pass under way: every how many-th pixel is computed.
        seconds_left: Likely, None before anything has been timed.
        finished: Nothing is left to be done.
    """

    tiles: int
    pixels: int
    expected: int
    stride: int
    seconds_left: float | None
    finished: bool

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return 1.0 if self.finished else min(self.pixels / max(self.expected, 1), 1.0)

    def __str__(self) -> str:
        left = "" if self.seconds_left is None or self.finished else f", about {duration(self.seconds_left)} left"
        return f"{self.pixels:,} of {self.expected:,} runs, {self.share:.0%}{left}"


@dataclass(frozen=True)
class Estimate:
    """How long a map would take; `str` says it in words.

    Attributes:
        seconds: If all runs go to the end, and all pixels are computed. Runs that diverge take less.
        workers: On so many.
    """

    seconds: float
    workers: int

    def __str__(self) -> str:
        return f"would take {duration(self.seconds)} on {self.workers} worker{'s' if self.workers > 1 else ''}"


@dataclass(frozen=True)
class _Tile:
    """Pixels on their way, and by whom they are computed."""

    pixels: list[int]
    executor: Executor


class Sweep:
    """A map: axes, settings and measures.

        sweep = Sweep([Axis("learning_rate", 0.01, 10, "log"), Axis("width", 1, 64, whole=True)], {"dataset": "xor"})
        for progress in sweep.run():
            print(progress.share)
        sweep.values("loss")

    It is computed in tiles of about a second on any executor, coarse to fine, and at last only where neighbors differ:
    what is left then is filled in from the nearest computed pixel. The values do not depend on the executor or on the
    order in which tiles come back. One thread advances a map by `step`; any number may read it meanwhile.
    Raises ValueError, before any training, for an axis, a measure or a setting that does not fit; the corners of the
    map are tried.

    Attributes:
        axes: One or two; the first runs to the right, the second upward.
        settings: Those that all runs share, in the words of `make`.
        measures: Name -> what is measured.
        epochs: How far a run is trained.
        marks: The epochs at which it is measured, ascending; the last is `epochs`.
        size: (nx, ny) pixels; fewer than asked for where whole numbers run out.
        tolerance: The difference between neighbors that does not count in the last passes, as a share of the measure's
            spread over the map; None to compute every pixel.
        refine_by: Names of the measures whose differences count, all by default. With many measures at many marks
            nearly all pixels differ in one of them; by "trained" alone, an eighth of a typical map is computed.
        notice: A sentence if something went wrong that the map survives, such as a full disk, else empty.
        cancelled: No further tiles are begun.
        version: Counts up whenever values, progress or notice have changed.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        settings: Mapping[str, Any] | None = None,
        measures: Any = ("loss", "trained"),
        epochs: int = 500,
        size: tuple[int, int] = (64, 64),
        marks: Sequence[int] = (),
        make: Callable[[Mapping[str, Any]], Training] = training_of,
        folder: str | PathLike[str] | None = None,
        executor: Executor | None = None,
        workers: int | None = None,
        tolerance: float | None = 0.05,
        refine_by: Sequence[str] | None = None,
    ) -> None:
        self.axes, self.settings = _checked_axes(axes), dict(settings or {})
        self.measures: dict[str, Measure] = measures_by_name(measures)
        self.marks = _checked_marks(epochs, marks)
        self.epochs, self.tolerance = self.marks[-1], tolerance
        self.refine_by = tuple(self.measures if refine_by is None else refine_by)
        for name in self.refine_by:
            self._column(name, None)
        self._coordinates = [axis.values(count) for axis, count in zip(self.axes, size, strict=False)]
        counts = [len(values) for values in self._coordinates]
        self.size: tuple[int, int] = (counts[0], counts[1] if len(counts) > 1 else 1)
        if self.size[0] * self.size[1] > MOST_PIXELS:
            raise ValueError(f"a map of {self.size} pixels is too large; choose {MOST_PIXELS} pixels or fewer")
        self._recipe = Recipe(make, self.settings, tuple(self.measures.values()), self.marks, engine_version())
        self._try_corners()
        shape = self._shape
        self._values = np.full((*shape, len(self.marks), len(self.measures)), np.nan)
        self._computed, self._planned = np.zeros(shape, bool), np.zeros(shape, bool)
        self._impossible = dict[int, str]()
        self._lock, self._stepping = threading.RLock(), threading.Lock()
        self.version, self.cancelled, self.notice = 0, False, ""
        self._folder = None if folder is None else TileFolder(folder, self.digest, self._computed.size, self._columns)
        self._unsaved: list[tuple[np.ndarray, np.ndarray]] = []
        self._looked, self._offset = -LOOK_SECONDS, uuid.uuid4().int
        self._executor, self._own, self._workers = executor, None, workers
        self._passes, self._stride, self._expected = strides(shape), 0, self._computed.size
        self._waiting: deque[int] = deque()
        self._futures: dict[Future[Outcome], _Tile] = {}
        self._trials: dict[int, int] = {}
        self._tiles, self._seconds, self._timed, self._finished = 0, 0.0, 0, False
        self._filled = np.full(shape, -1), -1

    def __repr__(self) -> str:
        axes = " x ".join(f"{a.name} ({len(c)})" for a, c in zip(self.axes, self._coordinates, strict=True))
        return f"<Sweep {axes}: {', '.join(self.measures)} after {self.epochs} epochs; {self.progress}>"

    # What the map is made of

    @property
    def x(self) -> np.ndarray:
        """(nx,) the pixels' values on the first axis."""
        return self._coordinates[0].copy()

    @property
    def y(self) -> np.ndarray:
        """(ny,) those on the second axis; one 0 where there is none."""
        return self._coordinates[1].copy() if len(self.axes) > 1 else np.zeros(1)

    @property
    def digest(self) -> str:
        """Of all that the values depend on."""
        recipe = self._recipe
        chosen = [(axis.name, values) for axis, values in zip(self.axes, self._coordinates, strict=True)]
        return digest(recipe.version, recipe.make, self.settings, chosen, recipe.measures, self.marks)

    def settings_of(self, ix: int, iy: int = 0) -> dict[str, Any]:
        """The settings of a pixel's run, counted from the lower left.

        Raises:
            IndexError: If there is no such pixel.
        """
        return {**self.settings, **self._chosen(self._flat(ix, iy))}

    def training(self, ix: int, iy: int = 0) -> Training:
        """The run of a pixel, from its start: trained to a mark, it has the pixel's values, bit for bit.

        Raises:
            ValueError: If there is no run with these settings.
        """
        return self._recipe.training(self._chosen(self._flat(ix, iy)))

    def measured(self, training: Training) -> dict[str, np.ndarray]:
        """The measures of a training that has not begun, (marks,) each; it is trained to the end."""
        return dict(zip(self.measures, self._recipe.measured(training).T, strict=True))

    def measured_at(self, chosen: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The measures, (marks,) each, of a run with these values on the axes, which need not be a pixel's.

        It is trained here and now. Raises ValueError if there is no run with these settings.
        """
        return self.measured(self._recipe.training(chosen))

    # What is known of it

    def values(self, measure: str, mark: int | None = None) -> np.ndarray:
        """(ny, nx) of a measure at a mark, by default the end: computed or filled in, nan where there is nothing yet.

        nan, too, where a run cannot be, and where the measure has no number.
        Raises ValueError for another measure or mark than the map has.
        """
        column = self._column(measure, mark)
        with self._lock:
            return _spread(self._values[(..., *column)], self._sources())

    @property
    def computed(self) -> np.ndarray:
        """(ny, nx) which pixels are computed."""
        with self._lock:
            return self._computed.copy()

    @property
    def filled(self) -> np.ndarray:
        """(ny, nx) which pixels show a computed neighbor's values."""
        with self._lock:
            return ~self._computed & (self._sources() >= 0)

    @property
    def impossible(self) -> dict[tuple[int, int], str]:
        """(ix, iy) -> why there is no run with these settings."""
        with self._lock:
            return {(k % self.size[0], k // self.size[0]): why for k, why in self._impossible.items()}

    def arrays(self) -> dict[str, Any]:
        """The whole map with the names of its axes: `dims`, `coords` and `data`.

        `data` has each measure as (mark, y, x), and `computed`, each with the names of its own dimensions:
        `xarray.Dataset(arrays["data"], arrays["coords"])` takes them as they are.
        """
        names = [axis.name for axis in reversed(self.axes)]
        coords = {
            "mark": np.array(self.marks),
            **{a.name: c.copy() for a, c in zip(self.axes, self._coordinates, strict=True)},
        }
        with self._lock:
            filled = _spread(self._values, self._sources())
            filled = filled if len(names) > 1 else filled[0]
            computed = self._computed.copy() if len(names) > 1 else self._computed[0].copy()
        data: dict[str, Any] = {
            name: (("mark", *names), np.moveaxis(filled[..., k], -1, 0)) for k, name in enumerate(self.measures)
        }
        return {"dims": ("mark", *names), "coords": coords, "data": {**data, "computed": (tuple(names), computed)}}

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        with self._lock:
            pixels = int(self._computed.sum())
            expected = pixels if self._finished else max(self._expected, pixels)
            left = None if not self._timed else (expected - pixels) * self._seconds / self._timed / self.workers
            return Progress(self._tiles, pixels, expected, self._stride, left, self._finished)

    @property
    def workers(self) -> int:
        """How many tiles are computed at a time."""
        if self._workers:
            return self._workers
        if self._executor is None:
            return 1 if isinstance(self._own, ThreadPoolExecutor) else cores()
        found = getattr(self._executor, "workers", None)
        return found if isinstance(found, int) else cores()

    def estimate(self, seconds: float = 0.1) -> Estimate:
        """How long the whole map would take, from the first epochs of some runs, each of which is given so long."""
        nx, ny = self.size
        places = {(ix, iy) for ix in (0, nx // 2, nx - 1) for iy in (0, ny // 2, ny - 1)}
        times = [took for place in sorted(places) if (took := self._time(*place, seconds)) is not None]
        each = float(np.mean(times)) if times else 0.0
        return Estimate(each * int((~self._computed).sum()) / self.workers, self.workers)

    # Computing

    def run(self, timeout: float = 0.2) -> Iterator[Progress]:
        """Compute the whole map: yields after each step, as often as every `timeout` seconds.

        Closing the generator cancels.
        """
        self.cancelled = False
        try:
            while not self._finished and not self.cancelled:
                yield self.step(timeout)
        finally:
            self.close()

    def step(self, timeout: float = 0.0) -> Progress:
        """Take in what has come back, send out what is next; waits for at most so many seconds if there is no news.

        Without a timeout it never waits: a server calls it every now and then. If another thread is in it already, it
        does nothing.
        Raises RuntimeError when a run or a worker fails for good.
        """
        if not self._stepping.acquire(blocking=False):
            return self.progress
        try:
            read = self._look()
            self._gather(timeout if read else 0.0)
            if read:
                self._send()
        finally:
            self._stepping.release()
        return self.progress

    def cancel(self) -> None:
        """Begin no further tiles. Those under way are kept if `step` is called once they are done; `resume` goes on."""
        with self._lock:
            self.cancelled = True
            for future in list(self._futures):
                if future.cancel():
                    self._waiting.extendleft(reversed(self._futures.pop(future).pixels))
            self.version += 1

    def resume(self) -> None:
        """Go on after `cancel`, with the next `step`."""
        with self._lock:
            self.cancelled = False
            self.version += 1

    def close(self) -> None:
        """Cancel, and end the workers that this map has started, whatever they are at; those of an executor stay."""
        if not self._finished:
            self.cancel()
        self._let_go()

    # One step

    def _look(self) -> bool:
        """Take in tiles that lie in the folder; whether all of them have been read."""
        if self._folder is None or self._finished or time.monotonic() - self._looked < LOOK_SECONDS:
            return True
        tiles = self._folder.news()
        for pixels, values in tiles:
            self._add(pixels, values)
        if not tiles:
            self._looked = time.monotonic()
        return not tiles

    def _gather(self, timeout: float) -> None:
        with self._lock:
            futures = list(self._futures)
        if futures:
            wait(futures, timeout, return_when=FIRST_COMPLETED)
        for future in filter(Future.done, futures):
            with self._lock:
                tile = self._futures.pop(future, None)
            if tile is not None:
                self._take(future, tile)

    def _take(self, future: Future[Outcome], tile: "_Tile") -> None:
        """Take in what became of a tile."""
        try:
            outcome = future.result()
        except Exception as error:
            self._lose(error, tile)
            return
        pixels = tile.pixels
        if outcome.failure:
            self._waiting.extendleft(reversed(tile.pixels))
            raise RuntimeError(f"the map failed: {outcome.failure}")
        with self._lock:
            self._seconds += outcome.seconds
            self._timed += len(pixels)
            self._impossible |= {pixels[k]: why for k, why in outcome.impossible.items()}
        flat, values = np.array(pixels), outcome.values.reshape(len(pixels), -1)
        self._add(flat, values)
        real = np.array([k not in outcome.impossible for k in range(len(pixels))])
        if real.any():
            self._save(flat[real], values[real])

    def _add(self, pixels: np.ndarray, values: np.ndarray) -> None:
        with self._lock:
            self._values.reshape(self._computed.size, -1)[pixels] = values
            self._computed.reshape(-1)[pixels] = True
            self._tiles += 1
            self.version += 1

    def _save(self, pixels: np.ndarray, values: np.ndarray) -> None:
        """Write a tile, and what could not be written before."""
        if self._folder is None:
            return
        self._unsaved.append((pixels, values))
        try:
            while self._unsaved:
                self._folder.save(*self._unsaved[0])
                del self._unsaved[0]
        except OSError as error:
            self._say(f"{IN_MEMORY}; its tiles cannot be written to {self._folder.path}: {error.strerror or error}.")
        else:
            if self.notice.startswith(IN_MEMORY):
                self._say("")

    def _say(self, notice: str) -> None:
        with self._lock:
            self.notice = notice
            self.version += 1

    def _send(self) -> None:
        """Keep every worker busy, with a tile more for each to go on with."""
        while not self.cancelled and not self._finished and len(self._futures) < 2 * self.workers:
            pixels = self._next()
            if not pixels:
                if self._futures or self._plan():
                    return
                continue
            tile = _Tile(pixels, self._pool())
            try:
                future = tile.executor.submit(compute, self._recipe, [self._chosen(k) for k in pixels])
            except RuntimeError as error:  # what an executor raises once it is shut down, or broken
                self._lose(error if isinstance(error, BrokenExecutor) else BrokenExecutor(str(error)), tile)
                continue
            with self._lock:
                self._futures[future] = tile

    def _next(self) -> list[int]:
        """The next pixels that are to be computed, as many as take about a second."""
        known = self._computed.reshape(-1)
        count = FIRST_TILE if not self._timed else int(TILE_SECONDS * self._timed / max(self._seconds, 1e-6))
        count = max(1, min(count, -(-len(self._waiting) // (2 * self.workers))))
        tile: list[int] = []
        while self._waiting and len(tile) < count:
            pixel = self._waiting.popleft()
            if not known[pixel]:
                tile.append(pixel)
        return tile

    def _plan(self) -> bool:
        """Put the pixels of the next pass in line; whether the map is finished."""
        with self._lock:
            while not self._waiting and not self._finished:
                fresh = self._fresh() if self._stride else np.zeros_like(self._planned)
                self._planned |= fresh
                missing = np.flatnonzero(fresh & ~self._computed)
                self._waiting.extend(self._rotated(missing).tolist())
                if not fresh.any():
                    self._descend()
            self._expected = min(self._likely(), self._computed.size)
            self.version += 1
        if self._finished:
            self.close()
        return self._finished

    def _descend(self) -> None:
        """On to the next pass."""
        if self._passes:
            self._stride = self._passes.pop(0)
        else:
            self._finished = True

    def _fresh(self) -> np.ndarray:
        """(ny, nx) the pixels that this pass still asks for, judged by those that passes have asked for so far.

        What lies in the folder besides must not matter, lest a resumed map become another one.
        """
        if self.tolerance is None or self._stride >= EVERYWHERE or not self._planned.any():
            return on_grid(self._shape, self._stride) & ~self._planned
        places = [list(self.measures).index(name) for name in self.refine_by]
        values = _spread(self._values[..., places], sources(self._planned))
        scales = [self.measures[name] for name in self.refine_by]
        return differing(values, self._planned, self._stride, self.tolerance, scales)

    def _rotated(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels in an order in which processes that share a folder meet late."""
        if self._folder is None or not pixels.size:
            return pixels
        return np.roll(pixels, -(self._offset % len(pixels)))

    def _likely(self) -> int:
        """How many pixels will be computed in the end."""
        known, share = self._planned | self._computed, 1.0
        if self.tolerance is not None and self._stride < EVERYWHERE:
            share = float(self._planned[:: self._stride, :: self._stride].mean())
        return int(known.sum()) + sum(
            int(share * (on_grid(self._shape, stride) & ~on_grid(self._shape, 2 * stride) & ~known).sum())
            for stride in self._passes
        )

    def _pool(self) -> Executor:
        """The executor in use: the one passed in, or one of our own, made when it is needed."""
        if self._executor is not None:
            return self._executor
        if self._own is None:
            self._own = processes(workers=self._workers) if self._travels() else ThreadPoolExecutor(1)
        return self._own

    def _travels(self) -> bool:
        """Whether worker processes can be told what to do: they do not know what a script or a notebook defines."""
        try:
            packed = pickle.dumps(self._recipe)
        except Exception as error:
            why = f"it cannot be sent to other processes ({error})"
        else:
            if b"__main__" not in packed:
                return True
            why = "other processes do not know what a script or a notebook defines; a module of one's own they do"
        self._say(f"The map is computed in this process, on one core: {why}.")
        return False

    def _lose(self, error: Exception, tile: "_Tile") -> None:
        """Go on without a worker, or without the executor. Raises RuntimeError when that has happened too often."""
        self._waiting.extendleft(reversed(tile.pixels))
        for pixel in tile.pixels:
            self._trials[pixel] = self._trials.get(pixel, 0) + 1
        if tile.executor is self._executor and isinstance(error, BrokenExecutor):
            self._leave(error)
        elif max(map(self._trials.__getitem__, tile.pixels)) > TRIALS:
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise RuntimeError(f"a tile is lost again and again, perhaps for want of memory: {words}") from error
        elif tile.executor is self._own:
            self._let_go()

    def _let_go(self) -> None:
        """End the workers that this map has started. What they are at is dropped, and in line again."""
        with self._lock:
            own, self._own = self._own, None
            for future in [future for future, tile in self._futures.items() if tile.executor is own]:
                if not future.done():
                    self._waiting.extendleft(reversed(self._futures.pop(future).pixels))
        if isinstance(own, Workers):
            own.kill()
        elif own is not None:
            own.shutdown(wait=False, cancel_futures=True)

    def _leave(self, error: Exception) -> None:
        """Go on without the executor that was passed in; what it has not finished is computed again."""
        with self._lock:
            left, self._executor = self._executor, None
            for future in [future for future, tile in self._futures.items() if tile.executor is left]:
                if not future.done():
                    future.cancel()
                    self._waiting.extendleft(reversed(self._futures.pop(future).pixels))
        self._say(f"The map goes on with processes of this machine: {error}.")

    # Pixels

    @property
    def _shape(self) -> tuple[int, int]:
        nx, ny = self.size
        return ny, nx

    @property
    def _columns(self) -> int:
        return len(self.marks) * len(self.measures)

    def _flat(self, ix: int, iy: int) -> int:
        nx, ny = self.size
        if not (0 <= ix < nx and 0 <= iy < ny):
            raise IndexError(f"pixel ({ix}, {iy}) is outside; the map has {nx} x {ny} pixels, counted from 0")
        return int(iy) * nx + int(ix)

    def _chosen(self, flat: int) -> dict[str, Any]:
        """Axis -> value of a pixel."""
        places = flat % self.size[0], flat // self.size[0]
        values = (float(along[i]) for along, i in zip(self._coordinates, places, strict=False))
        return {axis.name: int(v) if axis.whole else v for axis, v in zip(self.axes, values, strict=True)}

    def _column(self, measure: str, mark: int | None) -> tuple[int, int]:
        if measure not in self.measures:
            raise ValueError(f"measure {measure!r} is not on this map; choose one of {', '.join(self.measures)}")
        mark = self.marks[-1] if mark is None else mark
        if mark not in self.marks:
            raise ValueError(f"epoch {mark} is no mark of this map; choose one of {', '.join(map(str, self.marks))}")
        return self.marks.index(mark), list(self.measures).index(measure)

    def _sources(self) -> np.ndarray:
        """Where each pixel has its values from; remembered until there are more."""
        count = int(self._computed.sum())
        if self._filled[1] != count:
            self._filled = sources(self._computed), count
        return self._filled[0]

    def _try_corners(self) -> None:
        """Make the runs of the corners. Raises ValueError for one that cannot be."""
        nx, ny = self.size
        for ix, iy in sorted({(ix, iy) for ix in (0, nx - 1) for iy in (0, ny - 1)}):
            chosen = self._chosen(self._flat(ix, iy))
            try:
                self._recipe.training(chosen)
            except ValueError as error:
                where = ", ".join(f"{name} = {value:.6g}" for name, value in chosen.items())
                raise ValueError(f"the map has no run at {where}: {error}") from error

    def _time(self, ix: int, iy: int, seconds: float) -> float | None:
        """How long a run would take, from its first epochs and one measurement; None where there is none."""
        start = time.perf_counter()
        try:
            training = self.training(ix, iy)
        except ValueError:
            return None
        epochs = training.advance()
        begun, count = time.perf_counter(), 0
        while count < self.epochs and time.perf_counter() - begun < seconds:
            epochs = training.advance(min(16, self.epochs - count))
            count += len(epochs)
        trained = time.perf_counter()
        self._recipe.values_at(training, epochs[-1], np.full(count + 1, epochs.loss[-1]))
        measuring = (time.perf_counter() - trained) * len(self.marks)
        return begun - start + (trained - begun) / max(count, 1) * self.epochs + measuring


def _spread(values: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Values (ny, nx, ...) with those of each pixel's source in its place, nan where it has none."""
    spread = values.reshape(source.size, *values.shape[2:])[source]
    spread[source < 0] = np.nan
    return spread


def duration(seconds: float) -> str:
    """A length of time in words, to the nearest unit that says enough."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length:
            return f"{round(seconds / length)} {unit}s"
    count = max(1, round(seconds))
    return f"{count} second{'s' if count > 1 else ''}"


def marks_until(epochs: int) -> tuple[int, ...]:
    """10, 30, 100, 300, ... below so many epochs, and these."""
    marks = [factor * 10**power for power in range(1, 10) for factor in (1, 3)]
    return (*[mark for mark in marks if mark < epochs], epochs)


def _checked_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    found = (axes,) if isinstance(axes, Axis) else tuple(axes)
    if not 1 <= len(found) <= 2 or not all(isinstance(axis, Axis) for axis in found):
        raise ValueError(f"axes {found} make no map; give one or two of Axis(name, low, high)")
    if len({axis.name for axis in found}) < len(found):
        raise ValueError(f"{found[0].name} is on both axes; choose another setting for one of them")
    return found


def _checked_marks(epochs: int, marks: Sequence[int]) -> tuple[int, ...]:
    if int(epochs) != epochs or epochs < 1:
        raise ValueError(f"{epochs} epochs make no map; choose a whole number of 1 or more")
    for mark in marks:
        if int(mark) != mark or not 0 <= mark <= epochs:
            raise ValueError(f"mark {mark} is no epoch of these runs; choose whole numbers from 0 to {epochs}")
    return tuple(sorted({*map(int, marks), int(epochs)}))
