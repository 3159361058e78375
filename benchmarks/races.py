"""The engine against PyTorch, JAX, scikit-learn and a textbook's NumPy, side by side on the same work.

    python -m benchmarks.races                         # all works, about four minutes
    python -m benchmarks.races moons plane --quick     # works whose names contain these words, fewer rounds

Everybody takes turns, a short slice each, so that whatever else the machine does meets all alike; a ratio is the
median over the rounds of the rival's time over ours in the same round. One thread and one process, float64. Before a
race, all must have come to the same numbers. All is done twice, in child processes: with OpenBLAS's own choice of
kernels for this processor, and with those for SkylakeX, which it misses on some. Progress goes to stderr, Markdown to
stdout.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks import rivals
from benchmarks.rivals import Problem, RaceStep
from engine import DATASETS, OPTIMIZERS, Dataset, Training
from engine.curvature import Curvature
from engine.ensemble import Ensemble
from engine.kernel import Kernel
from engine.landscape import loss_on_plane, random_plane
from engine.losses import matching_loss

RIVALS = {"JAX": "jax", "PyTorch": "torch", "scikit-learn": "sklearn", "textbook": "numpy"}
"""Their columns, and what must be installed for them."""

SINGLE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "NPROC": "1",
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cpu",
}
KERNELS = {"its own choice": {}, "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX"}}
QUOTED = """TensorFlow Playground's engine, quoted from an earlier measurement against a prototype of ours on another
machine: 133 times our time on moons, 22 times on XOR."""

Contestant = Callable[[], RaceStep]
Quartiles = tuple[float, float, float]


@dataclass(frozen=True)
class Result:
    """One race: our median time per unit in microseconds, and each rival's ratio to it as quartiles."""

    work: str
    ours: float
    ratios: dict[str, Quartiles]

    def ratio(self, rival: str) -> Quartiles:
        """A rival's quartiles, nan if it did not take part."""
        return self.ratios.get(rival, (np.nan,) * 3)


@dataclass(frozen=True)
class Target:
    """What a result should show: the quartiles of a number of its, and the bounds it should keep.

    Attributes:
        form: How to print the median, where no column shows it.
    """

    text: str
    quartiles: Callable[[Result], Quartiles]
    least: float = -np.inf
    most: float = np.inf
    form: str = ""

    def verdict(self, results: Sequence[Result]) -> str:
        """Whether it was reached, in each of the results; unclear if the middle half of the rounds does not agree."""
        measured = [self.quartiles(result) for result in results]
        words = [self._word(low, high) for low, _, high in measured]
        text = words[0] if len(set(words)) == 1 else " / ".join(words)
        return f"{text} ({' / '.join(self.form.format(median) for _, median, _ in measured)})" if self.form else text

    def _word(self, low: float, high: float) -> str:
        if np.isnan(low):
            return "not measured"
        reached = {self.least <= number <= self.most for number in (low, high)}
        return "unclear" if len(reached) == 2 else "yes" if reached.pop() else "no"


@dataclass(frozen=True)
class Work:
    """Something that everybody does: who takes part, ours first, and what we want to reach.

    Attributes:
        tolerance: How far, relatively, the numbers of the first chunk may be apart.
    """

    name: str
    contestants: dict[str, Contestant]
    targets: Sequence[Target] = ()
    tolerance: float = 1e-7

    @property
    def present(self) -> dict[str, Contestant]:
        """Those whose libraries are installed."""
        return {name: make for name, make in self.contestants.items() if find_spec(_module(name))}


def faster_than(rival: str, factor: float, form: str = "") -> Target:
    """We are faster than the rival by this factor."""
    return Target(f"≥ {factor}x {rival}", lambda result: result.ratio(rival), least=factor, form=form)


def within(amount: float, unit: str) -> Target:
    """We take no longer than this, in us or ms."""
    return Target(f"≤ {amount} {unit}", lambda result: (result.ours,) * 3, most=amount * {"us": 1, "ms": 1000}[unit])


def _module(contestant: str) -> str:
    """What must be installed for a contestant; after a comma, another way of using the same library."""
    return RIVALS.get(contestant.split(",")[0], "numpy")


# Ours


def training(problem: Problem) -> RaceStep:
    """`Training`, everything recorded; it keeps the parameters of every epoch, too."""
    optimizer = OPTIMIZERS[problem.optimizer](learning_rate=problem.learning_rate)
    ours = Training(problem.network(), problem.data, optimizer=optimizer, batch_size=problem.batch_size)
    return lambda: ours.advance(problem.epochs).loss


def unrecorded_training(problem: Problem) -> RaceStep:
    """What `Training` does at every epoch if nothing is recorded: passes and updates. One loss at a chunk's end."""
    network, optimizer = problem.network(), OPTIMIZERS[problem.optimizer](learning_rate=problem.learning_rate)
    loss, penalty = matching_loss(None, network.output), network.penalty(0, 0)
    batch, state = network.batch(problem.data, loss), optimizer.start(network.parameters)
    kernel = Kernel(network, loss, batch.n)

    def race_step() -> np.ndarray:
        losses = np.full(problem.epochs, np.nan)
        for _ in losses:
            kernel.gradient_of(batch, penalty)
            optimizer.step(network.parameters, kernel.gradient, state, problem.learning_rate)
        losses[-1] = loss.value(kernel.logits, batch.targets, kernel.output).mean()
        return losses

    return race_step


def ensemble(problem: Problem, runs: int, train: Callable[[Ensemble, int], object] = Ensemble.advance) -> RaceStep:
    """`Ensemble`, all runs recorded; rows are replica-epochs."""
    optimizer = OPTIMIZERS[problem.optimizer](learning_rate=problem.learning_rate)
    ours = Ensemble(problem.sizes, problem.data, {"seed": range(runs)}, problem.activation, optimizer=optimizer)

    def race_step() -> np.ndarray:
        train(ours, problem.epochs)
        return ours.loss[:, -problem.epochs :].T.ravel()

    return race_step


def ensemble_in_processes(problem: Problem, runs: int) -> RaceStep:
    """The same on all cores, the processes once started."""
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"))
    return ensemble(problem, runs, lambda ours, epochs: deque(ours.train(epochs, pool), maxlen=0))


def products(problem: Problem, points: np.ndarray, vectors: np.ndarray) -> RaceStep:
    """Hessian-vector products, all vectors at one point and the next chunk at the next point."""
    network, places = problem.network(), cycle(points)
    curvature = Curvature(network, problem.data)

    def race_step() -> np.ndarray:
        network.parameters = next(places)
        return curvature.product(vectors)

    return race_step


def hessian(problem: Problem, points: np.ndarray) -> RaceStep:
    """The whole Hessian at one point after another."""
    network, places = problem.network(), cycle(points)
    curvature = Curvature(network, problem.data)

    def race_step() -> np.ndarray:
        network.parameters = next(places)
        return curvature.hessian()[None]

    return race_step


def spectrum(problem: Problem, points: np.ndarray) -> RaceStep:
    """The Hessian's eigenvalues at one point after another."""
    network, places = problem.network(), cycle(points)
    curvature = Curvature(network, problem.data)

    def race_step() -> np.ndarray:
        network.parameters = next(places)
        return curvature.spectrum().eigenvalues[None]

    return race_step


def newcomer(contestant: Callable[[Problem], RaceStep], problem: Problem) -> RaceStep:
    """Always another architecture, from nothing to its first recorded epoch."""
    widths = cycle(range(8, 40))

    def race_step() -> np.ndarray:
        width = next(widths)
        return contestant(replace(problem, sizes=(2, width, width, 1), epochs=1))()

    return race_step


TRAINERS = {
    "ours": training,
    "JAX": rivals.jax_training,
    "PyTorch": rivals.torch_training,
    "scikit-learn": rivals.sklearn_training,
    "textbook": rivals.textbook_training,
}
BLOCKWISE = ("ours", "JAX")


# The works


def training_race(name: str, problem: Problem, *targets: Target, tolerance: float = 1e-7) -> Work:
    """Everybody trains; those who gain nothing by blocks of epochs have shorter chunks."""
    short = replace(problem, epochs=min(problem.epochs, 16))
    contestants = {name: partial(train, problem if name in BLOCKWISE else short) for name, train in TRAINERS.items()}
    return Work(name, contestants, targets, tolerance)


def trainings() -> Iterator[Work]:
    """The works that are trainings of one network, and what recording one costs."""
    moons = Problem(DATASETS["moons"](n=500), (2, 16, 16, 1), "relu", learning_rate=0.1)
    xor = Problem(DATASETS["xor"](n=200), (2, 4, 1), "tanh", learning_rate=0.5)
    deep = Problem(DATASETS["moons"](n=200), (2, *[16] * 8, 1), "sigmoid", learning_rate=0.1)
    few, some = (replace(moons, batch_size=size, epochs=4) for size in (10, 32))
    digits = Problem(clouds(), (20, 128, 128, 10), "relu", 1e-3, "softmax", "adam", batch_size=128, epochs=4)
    yield training_race("moons, n = 500, 2-16-16-1", moons, faster_than("JAX", 1.25), faster_than("PyTorch", 10))
    cost = Target("recorded ≤ 1.15x that", lambda result: result.ratio("recorded"), most=1.15, form="{:.2f}")
    bare = {"ours": partial(unrecorded_training, moons), "recorded": partial(training, moons)}
    yield Work("moons, nothing recorded", bare, [cost])
    yield training_race("XOR, n = 200, 2-4-1", xor, faster_than("JAX", 1))
    yield training_race("deep sigmoid, n = 200, 2-(16x8)-1", deep, faster_than("JAX", 1.1), faster_than("PyTorch", 6))
    for problem in (few, some):
        targets = faster_than("textbook", 4), faster_than("PyTorch", 20)
        yield training_race(f"moons in batches of {problem.batch_size}", problem, *targets)
    targets = faster_than("JAX", 0.8), faster_than("PyTorch", 2.5)
    yield training_race("20-128-128-10 softmax, batches of 128, Adam", digits, *targets, tolerance=1e-3)
    new = {name: partial(newcomer, train, moons) for name, train in TRAINERS.items()}
    yield Work("another architecture, to its first epoch", new, [within(5, "ms")])


def ensembles(runs: int = 100) -> Iterator[Work]:
    """Many runs at once, per epoch of one of them."""
    problem = Problem(DATASETS["moons"](n=200), (2, 16, 16, 1), "relu", learning_rate=0.1)
    short, long = (replace(problem, epochs=epochs) for epochs in (4, 128))
    contestants = {
        "ours": partial(ensemble, problem, runs),
        "JAX": partial(rivals.jax_ensemble, problem, runs),
        "JAX, vmap": partial(rivals.jax_ensemble, problem, runs, at_once=True),
        "PyTorch": partial(rivals.torch_ensemble, short, runs),
        "textbook": partial(rivals.textbook_ensemble, short, runs),
    }
    mapped = faster_than("JAX, vmap", 1.3, form="{:.3g}")
    yield Work(f"ensemble of {runs}, n = 200, a replica's epoch", contestants, [faster_than("JAX", 1.3), mapped])
    both = {"ours": partial(ensemble_in_processes, long, runs), "one core": partial(ensemble, long, runs)}
    gain = faster_than("one core", 1.5, form="{:.2f}")
    yield Work("the same on all cores", both, [gain])


def geometries() -> Iterator[Work]:
    """The loss around a network: a plane, and the second derivatives."""
    problem = Problem(DATASETS["moons"](n=500), (2, 16, 16, 1), "relu", learning_rate=0.1)
    network, axis, rng = problem.network(), np.linspace(-1, 1, 51), np.random.default_rng(0)
    plane = random_plane(network)
    on_plane = np.array([[plane.point(a, b) for a in axis] for b in axis])
    contestants = {
        "ours": lambda: lambda: loss_on_plane(network, problem.data, plane, axis, axis)[None],
        "JAX": partial(rivals.jax_plane, problem, on_plane),
        "PyTorch": partial(rivals.torch_plane, problem, on_plane),
        "textbook": partial(rivals.textbook_plane, problem, on_plane),
    }
    yield Work("51 x 51 loss plane", contestants, [within(30, "ms"), faster_than("JAX", 1.4)])
    points = network.parameters + 0.01 * rng.standard_normal((8, network.n_parameters))
    vectors = rng.standard_normal((16, network.n_parameters))
    contestants = {
        "ours": partial(products, problem, points, vectors),
        "JAX": partial(rivals.jax_products, problem, points, vectors),
        "PyTorch": partial(rivals.torch_products, problem, points, vectors),
    }
    yield Work("Hessian-vector product, 16 at a point", contestants, [faster_than("JAX", 1.5)])
    contestants = {
        "ours": partial(hessian, problem, points),
        "JAX": partial(rivals.jax_hessian, problem, points),
        "JAX, vmap": partial(rivals.jax_hessian, problem, points, at_once=True),
        "PyTorch": partial(rivals.torch_hessian, problem, points),
    }
    vmapped = faster_than("JAX, vmap", 10, form="{:.3g}")
    yield Work("exact Hessian, 337 parameters", contestants, [faster_than("JAX", 10), vmapped])
    contestants = {
        "ours": partial(spectrum, problem, points),
        "JAX": partial(rivals.jax_spectrum, problem, points),
        "PyTorch": partial(rivals.torch_spectrum, problem, points),
    }
    yield Work("its spectrum", contestants, [within(5, "ms")])


def clouds(n: int = 1024, features: int = 20, classes: int = 10) -> Dataset:
    """Ten overlapping clouds in twenty dimensions."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    x = rng.standard_normal((classes, features))[y] + rng.standard_normal((n, features))
    return Dataset(x, y, "classes", classes, "clouds")


def works(words: Sequence[str] = ()) -> list[Work]:
    """All works, or those whose names contain one of these words."""
    everything = (*trainings(), *geometries(), *ensembles())
    return [work for work in everything if not words or any(word in work.name for word in words)]


# The race


def race(work: Work, rounds: int, seconds: float) -> Result:
    """Everybody in turn, a slice of so many seconds each round, every round begun by another.

    Raises:
        ValueError: If the contestants do not come to the same numbers.
    """
    laps = {name: make() for name, make in work.present.items()}
    check_agreement(work, {name: race_step() for name, race_step in laps.items()})
    order, times = deque(laps), {name: [] for name in laps}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name in order:
            times[name].append(per_unit(laps[name], seconds))
        order.rotate()
    gc.enable()
    ours, *others = times
    ratios = {name: tuple(np.percentile(np.divide(times[name], times[ours]), (25, 50, 75))) for name in others}
    return Result(work.name, 1e6 * float(np.median(times[ours])), ratios)


def per_unit(race_step: RaceStep, seconds: float) -> float:
    """Seconds per unit of work, from as many chunks as fit, at least one."""
    began, units, passed = time.perf_counter(), 0, 0.0
    while not units or passed < seconds:
        units += len(race_step())
        passed = time.perf_counter() - began
    return passed / units


def check_agreement(work: Work, answers: dict[str, np.ndarray]) -> None:
    """Raise ValueError unless all first chunks hold the same numbers, as far as they go; nan was not recorded."""
    (_, ours), *others = answers.items()
    for name, theirs in others:
        k = min(len(ours), len(theirs))
        apart = np.abs(ours[:k] - theirs[:k]) / np.nanmax(np.abs(ours[:k]))
        apart = apart[~np.isnan(apart)]
        if not apart.size or apart.max() > work.tolerance:
            raise ValueError(f"{work.name}: {name} is {apart.max(initial=0)} away from ours in {apart.size} numbers")


# In print


def report(columns: dict[str, dict[str, Result]], everything: Sequence[Work]) -> str:
    """The tables, as Markdown; columns are results by the name of the work, for each choice of OpenBLAS's kernels."""
    heads = [f"ours, us, {kernels}" for kernels in columns]
    rows, spreads = [], []
    for work in everything:
        results = [column[work.name] for column in columns.values()]
        ratios = [" / ".join(_median(result, rival) for result in results) for rival in RIVALS]
        verdicts = "; ".join(target.verdict(results) for target in work.targets)
        targets = "; ".join(target.text for target in work.targets)
        rows.append((work.name, *(f"{_digits(result.ours)}" for result in results), *ratios, targets, verdicts))
        spreads += [(work.name, name, *(_spread(r, name) for r in results)) for name in results[0].ratios]
    return "\n\n".join(
        (
            markdown(["work", *heads, *RIVALS, "target", "reached?"], rows),
            "Rivals: how many times our time they take, " + " / ".join(columns) + ". The same with quartiles:",
            markdown(["work", "rival", *columns], spreads),
            QUOTED,
        )
    )


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _digits(us: float) -> str:
    """Three digits that count."""
    return f"{us:.3g}" if us < 1000 else f"{float(f'{us:.3g}'):,.0f}"


def _median(result: Result, rival: str) -> str:
    return f"{result.ratios[rival][1]:.3g}" if rival in result.ratios else "–"


def _spread(result: Result, rival: str) -> str:
    low, median, high = result.ratios[rival]
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


# From the command line


def measure(wanted: argparse.Namespace) -> dict[str, dict]:
    """All wanted races in this process."""
    rounds, seconds = (5, 0.01) if wanted.quick else (15, 0.03)
    results = {}
    for work in works(wanted.words):
        say(work.name)
        results[work.name] = asdict(race(work, rounds, seconds))
    return results


def child(kernels: dict[str, str], arguments: Sequence[str]) -> dict[str, Result]:
    """All wanted races in a process with these settings of OpenBLAS, which it reads when NumPy is imported."""
    command = [sys.executable, "-m", "benchmarks.races", "--child", *arguments]
    environment = os.environ | SINGLE_THREAD | kernels
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, check=True)
    return {name: Result(**result) for name, result in json.loads(done.stdout).items()}


def say(progress: str) -> None:
    """Tell on stderr what is being raced."""
    print(f"{time.strftime('%H:%M:%S')} {progress}", file=sys.stderr, flush=True)


def main() -> None:
    """Race, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="race the works whose names contain one of these")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        print(json.dumps(measure(wanted)))
        return
    for name, module in RIVALS.items():
        if not find_spec(module):
            print(f"{name} is not installed: left out.\n")
    columns = {name: child(kernels, sys.argv[1:]) for name, kernels in KERNELS.items()}
    print(report(columns, works(wanted.words)))


if __name__ == "__main__":
    main()
