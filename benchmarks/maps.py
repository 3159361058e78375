"""A map of runs on one process, on two, on Dask, and in JAX, side by side.

    python -m benchmarks.maps                   # 128 x 128 runs of 500 epochs, about half an hour
    python -m benchmarks.maps --side 32         # a sixteenth of it, and the same ratios

Moons, n = 200, 2-16-16-1, gradient descent, full batch; the learning rate varies from 0.01 to 1, the weights' standard
deviation from 0.1 to 1, where nearly all runs go to the end. Every pixel is computed, in float64, on one BLAS thread
per process. JAX maps a compiled training over 64 runs at a time with `vmap`, on one thread, and records losses alone.
Ratios are times over that of one process: below 1 is faster. Progress goes to stderr, Markdown to stdout.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from engine import Training
from engine.sweep import Axis, Sweep
from engine.worker_pool import processes

AXES = (Axis("learning_rate", 0.01, 1, "log"), Axis("std", 0.1, 1, "log"))
SETTINGS = {"dataset": "moons", "n": 200, "hidden": [16, 16], "initializer": "normal"}
AT_ONCE = 64
"""How many runs JAX trains together; more are slower here, for they leave the cache."""

ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_ENABLE_X64": "1"}


@dataclass(frozen=True)
class Timing:
    """How long a map took, when its first coarse picture was there, and its final losses."""

    name: str
    seconds: float
    first: float
    losses: np.ndarray


def sweep(side: int, epochs: int, executor: Executor | None = None) -> Sweep:
    """The map, every pixel computed."""
    return Sweep(AXES, SETTINGS, ("loss", "trained"), epochs, (side, side), executor=executor, tolerance=None)


def timed(name: str, side: int, epochs: int, executor: Executor) -> Timing:
    """The map on an executor whose workers are there already."""
    made = sweep(side, epochs, executor)
    start, first = time.perf_counter(), 0.0
    for progress in made.run():
        if not first and (made.computed | made.filled).all():
            first = time.perf_counter() - start
        print(f"\r{name}: {progress.share:.0%} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return Timing(name, time.perf_counter() - start, first, made.values("loss"))


@contextmanager
def pool(workers: int) -> Iterator[Executor]:
    """Processes of this machine, started."""
    with processes(workers=workers) as executor:
        list(executor.map(time.sleep, [0.5] * workers))
        yield executor


@contextmanager
def dask(workers: int) -> Iterator[Executor]:
    """A cluster of processes on this machine."""
    from distributed import Client, LocalCluster

    from dashboard.state.dask_executor import DaskExecutor

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield DaskExecutor(client)


def jax_map(side: int, epochs: int) -> Timing:
    """The same map in JAX: the time to compile is in it."""
    os.environ |= ONE_THREAD
    import jax

    made = sweep(side, epochs)
    places = [(ix, iy) for iy in range(side) for ix in range(side)]
    start, losses, first = time.perf_counter(), [], 0.0
    train = jax.jit(jax.vmap(_jax_run(made.training(0, 0), epochs), in_axes=(0, 0)))
    for begin in range(0, len(places), AT_ONCE):
        block = places[begin : begin + AT_ONCE]
        block += block[:1] * (AT_ONCE - len(block))
        runs = [made.training(*place) for place in block]
        rates = np.array([run.optimizer.learning_rate for run in runs])
        weights = [np.stack(w) for w in zip(*(run.network.weights for run in runs), strict=True)]
        biases = [np.stack(b) for b in zip(*(run.network.biases for run in runs), strict=True)]
        losses.append(np.asarray(train(list(zip(weights, biases, strict=True)), rates)))
        first = first or time.perf_counter() - start
        print(f"\rJAX: {begin / len(places):.0%} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seconds = time.perf_counter() - start
    return Timing("JAX, vmap", seconds, first, np.concatenate(losses)[: len(places)].reshape(side, side))


def _jax_run(training: Training, epochs: int) -> Callable[..., object]:
    """From weights and a learning rate to the last loss."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(training.data.x), jnp.asarray(training.data.y)

    def loss(layers: Sequence[tuple[object, object]]) -> object:
        a = x
        for w, b in layers[:-1]:
            a = jax.nn.relu(a @ w + b)
        z = (a @ layers[-1][0] + layers[-1][1])[:, 0]
        return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))

    slope = jax.value_and_grad(loss)

    def run(layers: object, rate: object) -> object:
        def epoch(layers: object, _: None) -> tuple[object, object]:
            value, gradient = slope(layers)
            return jax.tree.map(lambda p, g: p - rate * g, layers, gradient), value

        _, losses = jax.lax.scan(epoch, layers, None, length=epochs + 1)
        return losses[-1]

    return run


def main() -> None:
    """Print a table of times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=128, help="pixels along each side")
    parser.add_argument("--epochs", type=int, default=500)
    given = parser.parse_args()
    timings = []
    for workers in (1, 2):
        with pool(workers) as executor:
            timings.append(timed(f"{workers} process{'es' * (workers > 1)}", given.side, given.epochs, executor))
    if find_spec("distributed"):
        with dask(2) as executor:
            timings.append(timed("Dask, 2 workers", given.side, given.epochs, executor))
    for timing in timings[1:]:
        assert np.array_equal(timing.losses, timings[0].losses), f"{timing.name} made another map"
    if find_spec("jax"):
        timings.append(jax_map(given.side, given.epochs))
        alike = np.isclose(timings[-1].losses, timings[0].losses, rtol=1e-6).mean()
        print(f"JAX's last losses are ours within 1e-6 in {alike:.0%} of the runs", file=sys.stderr)
    run_epochs = given.side**2 * (given.epochs + 1)
    print(
        f"| {given.side} x {given.side} runs, {given.epochs} epochs | s | first picture, s | us a run-epoch | ratio |"
    )
    print("|---|---|---|---|---|")
    for timing in timings:
        each, ratio = timing.seconds / run_epochs * 1e6, timing.seconds / timings[0].seconds
        print(f"| {timing.name} | {timing.seconds:.0f} | {timing.first:.1f} | {each:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
