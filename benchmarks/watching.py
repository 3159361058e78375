"""What it costs a training to be watched, and how late its numbers appear.

    python -m benchmarks.watching [--rounds 15] [--epochs 3000]

Every round runs a training unwatched and watched, in turn, and divides the times; the table shows the median of the
rounds' ratios: by the clock, and of the processor's time that the training's own thread used, which other programs on
the machine disturb less. Watched means logged to a run log on disk, with a thread that writes it: whoever looks is
another process.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.frames import say, table
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.logger import Logger, observe, watch
from dashboard.tracking.run_log import RunLog
from engine import DATASETS, Network, train

WARM_UP = 1000
"""Epochs before the clock starts: at first everything is logged, later what two percent of the time allow."""

Times = tuple[float, float]
Work = Callable[[bool, int], Times]


@contextlib.contextmanager
def lab(shown: bool, **about: object) -> Iterator[Logger | None]:
    """A logger, or none."""
    if not shown:
        yield None
        return
    with watch("watching", **about) as found:
        yield found


def clocks() -> Times:
    """Now, by the clock and by the thread's processor time."""
    return time.perf_counter(), time.thread_time()


def since(began: Times) -> Times:
    """The seconds from then to now, by both."""
    return tuple(now - then for now, then in zip(clocks(), began, strict=True))


def engine(sizes: list[int], n: int) -> Work:
    """Our engine through `observe`: seconds for so many epochs."""
    data = DATASETS["moons"](n=n)

    def work(shown: bool, epochs: int) -> Times:
        training = train(Network(sizes), data)
        training = observe(training, "watching") if shown else training
        began = clocks()
        for epoch in training:
            if epoch.index == WARM_UP:
                began = clocks()
            if epoch.index == WARM_UP + epochs:
                break
        took = since(began)
        training.close()
        return took

    return work


def numpy_loop(units: int, examples: int) -> Work:
    """A loop of one's own that logs gradients, activations and parameters at every epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(examples, 10)), rng.normal(size=(examples, 1))

    def work(shown: bool, epochs: int) -> Times:
        w = [rng.normal(size=(10, units)) / 4, rng.normal(size=(units, 1)) / units]
        with lab(shown) as found:
            began = clocks()
            for epoch in range(epochs + WARM_UP):
                if epoch == WARM_UP:
                    began = clocks()
                hidden = np.maximum(x @ w[0], 0)
                error = hidden @ w[1] - y
                slopes = [x.T @ (error @ w[1].T * (hidden > 0)) / examples, hidden.T @ error / examples]
                w = [one - 0.01 * slope for one, slope in zip(w, slopes, strict=True)]
                loss = (error**2).mean()
                if found:
                    found.log(epoch, loss=loss, gradients=slopes, activations=[hidden], parameters=w)
            return since(began)

    return work


def torch_loop(units: int, batch: int, every_step: bool) -> Work:
    """A PyTorch module read by hooks, logged once in 20 steps or at every step."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    x = torch.randn(20 * batch, 20, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()

    def work(shown: bool, epochs: int) -> Times:
        model = nn.Sequential(nn.Linear(20, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        with lab(shown, module=model) as found:
            began = clocks()
            for step in range(epochs + WARM_UP):
                if step == WARM_UP:
                    began = clocks()
                part = slice(step % 20 * batch, (step % 20 + 1) * batch)
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[part]), y[part])
                loss.backward()
                optimizer.step()
                if found and (every_step or step % 20 == 19):
                    found.log(step if every_step else step // 20, loss=loss)
            return since(began)

    return work


def works() -> dict[str, tuple[Work, float]]:
    """What is raced, and by how much its number of epochs is another."""
    found = {
        "ours, moons 500, 2-16-16-1": (engine([2, 16, 16, 1], 500), 1.0),
        "ours, moons 200, 2-4-1": (engine([2, 4, 1], 200), 2.0),
        "NumPy, 2000 x 10-256-1": (numpy_loop(256, 2000), 0.1),
        "NumPy, 200 x 10-32-1": (numpy_loop(32, 200), 1.0),
    }
    with contextlib.suppress(ImportError):
        found |= {
            "PyTorch, batch 32, 20-64-64-2, told every 20 steps": (torch_loop(64, 32, False), 0.5),
            "PyTorch, batch 32, 20-64-64-2, told every step": (torch_loop(64, 32, True), 0.5),
            "PyTorch, batch 256, 20-512-512-2, told every 20 steps": (torch_loop(512, 256, False), 0.05),
        }
    return found


def cost(rounds: int, epochs: int) -> None:
    """The ratios of the times, watched over unwatched."""
    rows = []
    for name, (work, share) in works().items():
        say(name)
        count = max(40, round(epochs * share))
        work(True, count // 4)
        plain, ratios = [], []
        for turn in range(rounds):
            took = {shown: work(shown, count) for shown in ((False, True) if turn % 2 else (True, False))}
            plain.append(took[False][0] / count)
            ratios.append(np.divide(took[True], took[False]))
        (low, middle, high), (_, own, _) = 100 * (np.percentile(ratios, (25, 50, 75), axis=0).T - 1)
        times = f"{1e6 * np.median(plain):.0f}", f"{middle:+.1f} %", f"{low:+.1f} to {high:+.1f} %", f"{own:+.1f} %"
        rows.append((name, *times))
    table(
        "What watching costs a training",
        "training|us an epoch, unwatched|longer by, watched|half of the rounds|more of its thread's processor time",
        rows,
        "One thread for the matrices. The thread that writes has a processor to itself where one is free.",
    )


def calls(count: int = 5000) -> None:
    """Microseconds of one call of `log`."""
    say("calls")
    grads, hidden = [np.ones((20, 64)), np.ones((64, 2))], [np.ones((32, 64))]
    kinds = {
        "loss alone": {},
        "norms and means": {"gradients": [1.0, 2.0], "activations": [np.ones(64)]},
        "gradients, activations and parameters as arrays": {
            "gradients": grads,
            "activations": hidden,
            "parameters": grads,
        },
    }
    rows = []
    for name, parts in kinds.items():
        with watch("calls") as found:
            times = []
            for epoch in range(count):
                began = time.perf_counter()
                found.log(epoch, loss=1.0, **parts)
                times.append(1e6 * (time.perf_counter() - began))
                if epoch % 50 == 0:
                    time.sleep(0.001)
        rows.append((name, *(f"{value:.1f}" for value in np.percentile(times, (50, 95, 99)))))
    table("One call of log", "what is told|median us|p95|p99", rows)


def age(seconds: float = 4.0) -> None:
    """From `log` to a reader's history."""
    say("age")
    with watch("age") as found:
        tail, told, ages, epoch = LogReader(RunLog.found(found.id)), {}, [], 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told[epoch] = time.monotonic()
            found.log(epoch, loss=1.0)
            epoch += 1
            time.sleep(0.005)
            tail.poll()
            newest = tail.history[-1].index if len(tail.history) else -1
            ages += [time.monotonic() - told.pop(one) for one in [*told] if one <= newest]
    half, most = 1000 * np.percentile(ages, (50, 95))
    table(
        "How old an epoch is when it is seen",
        "median ms|p95 ms",
        [(f"{half:.0f}", f"{most:.0f}")],
        "Flushed every 100 ms, looked for every 50 ms.",
    )


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=2000)
    wanted = parser.parse_args()
    busy = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    print(f"Load of the machine before: {busy}.")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, user_api="blas"):
        os.environ |= {"DESCENT_LAB_HOME": folder, "DESCENT_LAB_BROWSER": "0"}
        cost(wanted.rounds, wanted.epochs)
        calls()
        age()


if __name__ == "__main__":
    main()
