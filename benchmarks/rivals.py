"""The rivals of the races: each task as an expert in the library would write it, plainly and without our tricks.

A contestant takes a task and returns a chunk, a function that does some more of it at every call and returns
what came out, one row per unit of work: a loss per epoch, a vector per product. Epochs without a loss of their own give
nan. All start from the same network, of ours, and compute in float64 on one thread. Where a library offers several
plain ways, it races in the one that was measured to be fastest.

Where training is recorded, that is at every epoch the loss and accuracy on all examples, the L2 norm of each layer's
gradient and the mean activation of each hidden unit, before the update. scikit-learn records the loss alone.

Libraries are imported where they are used, so that those not installed are missed by nobody else.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from engine import OUTPUTS, Dataset, Network
from engine.chance import stream

RaceStep = Callable[[], np.ndarray]
Array = Any
"""Of whatever library."""


@dataclass(frozen=True)
class Problem:
    """A training that everybody does alike: gradient descent or Adam, full batch or minibatches.

    Attributes:
        epochs: In a chunk.
    """

    data: Dataset
    sizes: tuple[int, ...]
    activation: str
    learning_rate: float
    output: str = "sigmoid"
    optimizer: str = "sgd"
    batch_size: int | None = None
    epochs: int = 64

    def network(self, seed: int = 0) -> Network:
        """The network that everybody starts from."""
        return Network(self.sizes, self.activation, self.output, seed=seed)

    @cached_property
    def targets(self) -> np.ndarray:
        """(n, outputs) zeros and ones."""
        return np.ascontiguousarray(OUTPUTS[self.output].targets(self.data.y, self.sizes[-1]).T)

    def orders(self) -> Iterator[np.ndarray]:
        """The order of the examples in each epoch, from which minibatches are cut; the one our own training draws."""
        rng = stream(0, "minibatches")
        while True:
            yield rng.permutation(len(self.data))

    def parts(self, order: np.ndarray) -> list[np.ndarray]:
        """Each minibatch's share of the order; the last one may be smaller."""
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]


class Textbook:
    """The engine of a good tutorial: a matrix and a vector per layer, an example per row, new arrays at every step."""

    ACTIVATIONS = {
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
        "tanh": (np.tanh, lambda a: 1 - a**2),
        "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
    }

    def __init__(self, problem: Problem, network: Network) -> None:
        self.weights = [w.copy() for w in network.weights]
        self.biases = [b.copy() for b in network.biases]
        self.activation, self.slope = self.ACTIVATIONS[problem.activation]
        self.output = self._softmax if problem.output == "softmax" else self.ACTIVATIONS["sigmoid"][0]
        self.learning_rate = problem.learning_rate
        self.update = self._adam if problem.optimizer == "adam" else self._descend
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.weights + self.biases]
        self.steps = 0

    def forward(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """What comes into every layer, and the probabilities (n, outputs)."""
        inputs = [x]
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(self.activation(inputs[-1] @ w + b))
        return inputs, self.output(inputs[-1] @ self.weights[-1] + self.biases[-1])

    def backward(self, inputs: list[np.ndarray], p: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """The gradients of all weights, then of all biases."""
        dz = (p - y) / len(y)
        dw, db = [], []
        for layer in reversed(range(len(self.weights))):
            dw.insert(0, inputs[layer].T @ dz)
            db.insert(0, dz.sum(axis=0))
            if layer:
                dz = dz @ self.weights[layer].T * self.slope(inputs[layer])
        return dw + db

    def loss(self, p: np.ndarray, y: np.ndarray) -> float:
        """The mean cross-entropy."""
        true = (p * y).sum(axis=1) if y.shape[1] > 1 else np.where(y > 0.5, p, 1 - p)
        return -np.log(true).mean()

    def accuracy(self, p: np.ndarray, y: np.ndarray) -> float:
        """The share classified rightly."""
        right = p.argmax(axis=1) == y.argmax(axis=1) if y.shape[1] > 1 else (p > 0.5) == (y > 0.5)
        return right.mean()

    def _softmax(self, z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def _descend(self, gradients: list[np.ndarray]) -> None:
        for p, g in zip(self.weights + self.biases, gradients, strict=True):
            p -= self.learning_rate * g

    def _adam(self, gradients: list[np.ndarray]) -> None:
        self.steps += 1
        for p, g, (m, v) in zip(self.weights + self.biases, gradients, self.moments, strict=True):
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.999 * v + 0.001 * g**2
            corrected = np.sqrt(v / (1 - 0.999**self.steps)) + 1e-8
            p -= self.learning_rate * (m / (1 - 0.9**self.steps)) / corrected


def textbook_training(problem: Problem, seed: int = 0) -> RaceStep:
    """Epoch by epoch, everything recorded."""
    engine, orders = Textbook(problem, problem.network(seed)), problem.orders()
    x, y = problem.data.x, problem.targets

    def epoch() -> tuple:
        inputs, p = engine.forward(x)
        gradients = engine.backward(inputs, p, y)
        layers = zip(gradients, gradients[len(engine.weights) :], strict=False)
        norms = [np.sqrt((dw**2).sum() + (db**2).sum()) for dw, db in layers]
        means = [a.mean(axis=0) for a in inputs[1:]]
        record = engine.loss(p, y), engine.accuracy(p, y), norms, means
        if problem.batch_size is None:
            engine.update(gradients)
        else:
            for part in problem.parts(next(orders)):
                engine.update(engine.backward(*engine.forward(x[part]), y[part]))
        return record

    def race_step() -> np.ndarray:
        losses, *_ = zip(*(epoch() for _ in range(problem.epochs)), strict=True)
        return np.array(losses)

    return race_step


def textbook_ensemble(problem: Problem, runs: int) -> RaceStep:
    """One training after the other; rows are replica-epochs."""
    laps = [textbook_training(problem, seed) for seed in range(runs)]
    return lambda: np.stack([race_step() for race_step in laps], axis=1).ravel()


def textbook_plane(problem: Problem, points: np.ndarray) -> RaceStep:
    """The loss at each of the parameters (rows, columns, n_parameters), one after the other."""
    engine, network = Textbook(problem, problem.network()), problem.network()
    x, y = problem.data.x, problem.targets

    def loss(point: np.ndarray) -> float:
        network.parameters = point
        engine.weights, engine.biases = network.weights, network.biases
        return engine.loss(engine.forward(x)[1], y)

    return lambda: np.array([[[loss(point) for point in row] for row in points]])


def sklearn_training(problem: Problem) -> RaceStep:
    """MLPClassifier: full batch by `fit` with warm starts, minibatches by `partial_fit` in the order given.

    In minibatches it tells no loss on all examples, so one is computed for each chunk's last epoch.
    """
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    n = len(problem.data)
    x, y, orders = problem.data.x, problem.data.y.astype(int), problem.orders()
    model = MLPClassifier(
        problem.sizes[1:-1],
        activation={"sigmoid": "logistic"}.get(problem.activation, problem.activation),
        solver=problem.optimizer,
        alpha=0,
        batch_size=problem.batch_size or n,
        learning_rate_init=problem.learning_rate,
        max_iter=problem.epochs,
        shuffle=False,
        tol=0,
        momentum=0,
        n_iter_no_change=np.inf,
        warm_start=True,
    )
    model.partial_fit(x, y, classes=np.unique(y))
    del model._optimizer
    network = problem.network()
    for own, start in zip(model.coefs_ + model.intercepts_, network.weights + network.biases, strict=True):
        own[...] = start

    def full_batch() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = len(model.loss_curve_)
            model.fit(x, y)
        return np.array(model.loss_curve_[done:])

    def minibatches() -> np.ndarray:
        losses = np.full(problem.epochs, np.nan)
        for epoch in range(problem.epochs):
            if epoch == problem.epochs - 1:
                losses[epoch] = log_loss(y, model.predict_proba(x))
            order = next(orders)
            model.partial_fit(x[order], y[order])
        return losses

    return full_batch if problem.batch_size is None else minibatches


def torch_training(problem: Problem) -> RaceStep:
    """Modules, autograd and `torch.optim`, eager; everything recorded."""
    import torch
    from torch import nn

    x, y = torch.tensor(problem.data.x), torch.tensor(problem.targets)
    activation = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[problem.activation]
    layers = nn.ModuleList(nn.Linear(a, b, dtype=torch.float64) for a, b in pairwise(problem.sizes))
    criterion = nn.CrossEntropyLoss() if problem.output == "softmax" else nn.BCEWithLogitsLoss()
    kind = torch.optim.Adam if problem.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(layers.parameters(), lr=problem.learning_rate)
    network, orders = problem.network(), problem.orders()
    with torch.no_grad():
        for layer, w, b in zip(layers, network.weights, network.biases, strict=True):
            layer.weight.copy_(torch.tensor(w.T))
            layer.bias.copy_(torch.tensor(b))

    def forward(x: Array) -> tuple[list[Array], Array]:
        activations = []
        for layer in layers[:-1]:
            x = activation(layer(x))
            activations.append(x)
        return activations, layers[-1](x)

    def right(z: Array) -> Array:
        return z.argmax(dim=1) == y.argmax(dim=1) if problem.output == "softmax" else (z > 0) == (y > 0.5)

    def epoch() -> tuple[Array, ...]:
        optimizer.zero_grad()
        activations, z = forward(x)
        loss = criterion(z, y)
        loss.backward()
        with torch.no_grad():
            norms = [(layer.weight.grad.square().sum() + layer.bias.grad.square().sum()).sqrt() for layer in layers]
            means = [a.mean(dim=0) for a in activations]
            record = loss.detach(), right(z).double().mean(), torch.stack(norms), torch.cat(means)
        if problem.batch_size is None:
            optimizer.step()
        else:
            for part in problem.parts(next(orders)):
                optimizer.zero_grad()
                criterion(forward(x[part])[1], y[part]).backward()
                optimizer.step()
        return record

    def race_step() -> np.ndarray:
        records = zip(*(epoch() for _ in range(problem.epochs)), strict=True)
        losses, *_ = (torch.stack(column).numpy() for column in records)
        return losses

    return race_step


def torch_ensemble(problem: Problem, runs: int) -> RaceStep:
    """All runs at once, their parameters stacked, by batched products; rows are replica-epochs."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    networks = [problem.network(seed) for seed in range(runs)]
    weights = [torch.tensor(np.stack(w)) for w in zip(*(network.weights for network in networks), strict=True)]
    biases = [torch.tensor(np.stack(b)[:, None]) for b in zip(*(network.biases for network in networks), strict=True)]
    optimizer = torch.optim.SGD([p.requires_grad_() for p in weights + biases], lr=problem.learning_rate)
    x, y = (torch.tensor(array).expand(runs, -1, -1) for array in (problem.data.x, problem.targets))

    def epoch() -> tuple[Array, ...]:
        optimizer.zero_grad()
        a, means = x, []
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            a = torch.relu(torch.baddbmm(b, a, w))
            means.append(a.detach().mean(dim=1))
        z = torch.baddbmm(biases[-1], a, weights[-1])
        losses = binary_cross_entropy_with_logits(z, y, reduction="none").mean(dim=(1, 2))
        losses.sum().backward()
        with torch.no_grad():
            pairs = zip(weights, biases, strict=True)
            norms = [(w.grad.square().sum(dim=(1, 2)) + b.grad.square().sum(dim=(1, 2))).sqrt() for w, b in pairs]
            accuracies = ((z > 0) == (y > 0.5)).double().mean(dim=(1, 2))
            record = losses.detach(), accuracies, torch.stack(norms, dim=1), torch.cat(means, dim=1)
        optimizer.step()
        return record

    def race_step() -> np.ndarray:
        records = zip(*(epoch() for _ in range(problem.epochs)), strict=True)
        losses, *_ = (torch.stack(column).numpy() for column in records)
        return losses.ravel()

    return race_step


def torch_plane(problem: Problem, points: np.ndarray) -> RaceStep:
    """The loss at each of the parameters (rows, columns, n_parameters), mapped row by row."""
    import torch

    loss, rows = torch.func.vmap(_torch_loss(problem)), torch.tensor(points)

    def race_step() -> np.ndarray:
        with torch.no_grad():
            return torch.stack([loss(row) for row in rows]).numpy()[None]

    return race_step


def torch_products(problem: Problem, points: np.ndarray, vectors: np.ndarray) -> RaceStep:
    """Hessian-vector products by differentiating the gradient, all vectors at one point as a batch.

    Ten times as fast as `torch.func.jvp` of `torch.func.grad`.
    """
    import torch

    loss, places, directions = _torch_loss(problem), cycle(torch.tensor(points)), torch.tensor(vectors)

    def race_step() -> np.ndarray:
        point = next(places).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(point), point, create_graph=True)
        return torch.autograd.grad(gradient, point, directions, is_grads_batched=True)[0].numpy()

    return race_step


def torch_hessian(problem: Problem, points: np.ndarray) -> RaceStep:
    """The whole Hessian at one point after another."""
    import torch

    hessian, places = torch.func.hessian(_torch_loss(problem)), cycle(torch.tensor(points))
    return lambda: hessian(next(places)).numpy()[None]


def torch_spectrum(problem: Problem, points: np.ndarray) -> RaceStep:
    """The Hessian's eigenvalues at one point after another."""
    import torch

    hessian, places = torch.func.hessian(_torch_loss(problem)), cycle(torch.tensor(points))
    return lambda: torch.linalg.eigvalsh(hessian(next(places))).numpy()[None]


def _torch_loss(problem: Problem) -> Callable[[Array], Array]:
    """The loss of all parameters in one array, for ReLU and one sigmoid output."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    x, y = torch.tensor(problem.data.x), torch.tensor(problem.targets)
    sizes = [size for a, b in pairwise(problem.sizes) for size in (a * b, b)]

    def loss(flat: Array) -> Array:
        *hidden, last = zip(*[iter(torch.split(flat, sizes))] * 2, strict=True)
        a = x
        for w, b in hidden:
            a = torch.relu(a @ w.reshape(-1, len(b)) + b)
        return binary_cross_entropy_with_logits(a @ last[0].reshape(-1, len(last[1])) + last[1], y)

    return loss


def jax_training(problem: Problem) -> RaceStep:
    """A chunk is one compiled scan over its epochs; everything recorded."""
    import jax

    race_step, orders = jax.jit(_jax_lap(problem)), problem.orders()
    state = _jax_start(problem, problem.network())

    def train() -> np.ndarray:
        nonlocal state
        drawn = None if problem.batch_size is None else np.stack([next(orders) for _ in range(problem.epochs)])
        state, records = race_step(state, drawn)
        losses, *_ = map(np.asarray, records)
        return losses

    return train


def jax_ensemble(problem: Problem, runs: int, at_once: bool = False) -> RaceStep:
    """The same scan mapped over the runs, one after the other or by `vmap`; rows are replica-epochs."""
    import jax
    import jax.numpy as jnp

    race_step = jax.jit(_jax_map(_jax_lap(problem), at_once))
    starts = [_jax_start(problem, problem.network(seed)) for seed in range(runs)]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)

    def train() -> np.ndarray:
        nonlocal state
        state, records = race_step(state)
        losses, *_ = map(np.asarray, records)
        return losses.T.ravel()

    return train


def jax_plane(problem: Problem, points: np.ndarray) -> RaceStep:
    """The loss at each of the parameters (rows, columns, n_parameters), one after the other.

    On one thread this is faster than `vmap` over chunks: 50 ms, against 59 for nine points at once and 62 for 51.
    """
    import jax
    import jax.numpy as jnp

    surface, places = jax.jit(_jax_map(_jax_flat_loss(problem))), jnp.asarray(points.reshape(-1, points.shape[-1]))
    return lambda: np.asarray(surface(places)).reshape(1, *points.shape[:-1])


def jax_products(problem: Problem, points: np.ndarray, vectors: np.ndarray) -> RaceStep:
    """Hessian-vector products, forward over reverse, compiled as one; all vectors at one point, one after the other."""
    import jax
    import jax.numpy as jnp

    gradient = jax.grad(_jax_flat_loss(problem))
    places, directions = cycle(jnp.asarray(points)), jnp.asarray(vectors)

    @jax.jit
    def products(point: Array, directions: Array) -> Array:
        return jax.lax.map(lambda v: jax.jvp(gradient, (point,), (v,))[1], directions)

    return lambda: np.asarray(products(next(places), directions))


def jax_hessian(problem: Problem, points: np.ndarray, at_once: bool = False) -> RaceStep:
    """The whole Hessian at one point after another: a Hessian-vector product per column, one by one or by `vmap`.

    `vmap`, which `jax.hessian` is made of, takes six times as long on one thread.
    """
    import jax
    import jax.numpy as jnp

    hessian, places = jax.jit(_jax_hessian_of(problem, at_once)), cycle(jnp.asarray(points))
    return lambda: np.asarray(hessian(next(places)))[None]


def jax_spectrum(problem: Problem, points: np.ndarray, at_once: bool = False) -> RaceStep:
    """The Hessian's eigenvalues at one point after another."""
    import jax
    import jax.numpy as jnp

    hessian, places = _jax_hessian_of(problem, at_once), cycle(jnp.asarray(points))
    spectrum = jax.jit(lambda point: jnp.linalg.eigvalsh(hessian(point)))
    return lambda: np.asarray(spectrum(next(places)))[None]


def _jax_map(function: Callable[..., Array], at_once: bool = False) -> Callable[..., Array]:
    """The function of every row: one after the other, or all in one go."""
    import jax

    return jax.vmap(function) if at_once else lambda rows: jax.lax.map(function, rows)


def _jax_hessian_of(problem: Problem, at_once: bool) -> Callable[[Array], Array]:
    """The Hessian at a point, (n_parameters, n_parameters)."""
    import jax
    import jax.numpy as jnp

    gradient = jax.grad(_jax_flat_loss(problem))

    def hessian(point: Array) -> Array:
        return _jax_map(lambda v: jax.jvp(gradient, (point,), (v,))[1], at_once)(jnp.eye(point.size))

    return hessian


def _jax_parameters(network: Network) -> Array:
    import jax.numpy as jnp

    return [(jnp.array(w), jnp.array(b)) for w, b in zip(network.weights, network.biases, strict=True)]


def _jax_objective(problem: Problem) -> Callable[..., Array]:
    """The loss, and beside it accuracy and mean activations, of parameters and examples."""
    import jax
    import jax.numpy as jnp

    activation = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[problem.activation]

    def objective(parameters: Array, x: Array, y: Array) -> tuple[Array, tuple[Array, Array]]:
        a, means = x, []
        for w, b in parameters[:-1]:
            a = activation(a @ w + b)
            means.append(a.mean(axis=0))
        z = a @ parameters[-1][0] + parameters[-1][1]
        if problem.output == "softmax":
            losses = jax.nn.logsumexp(z, axis=1) - (z * y).sum(axis=1)
            right = z.argmax(axis=1) == y.argmax(axis=1)
        else:
            losses = jax.nn.softplus(z) - y * z
            right = (z > 0) == (y > 0.5)
        return losses.mean(), (right.mean(), jnp.concatenate(means))

    return objective


def _jax_flat_loss(problem: Problem) -> Callable[[Array], Array]:
    """The loss of all parameters in one array, laid out like ours."""
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    objective, (_, unravel) = _jax_objective(problem), ravel_pytree(_jax_parameters(problem.network()))
    x, y = jnp.asarray(problem.data.x), jnp.asarray(problem.targets)
    return lambda flat: objective(unravel(flat), x, y)[0]


def _jax_start(problem: Problem, network: Network) -> Array:
    """Parameters, and what Adam remembers: two moments and the count of steps."""
    import jax
    import jax.numpy as jnp

    parameters = _jax_parameters(network)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, (zeros, zeros, jnp.zeros(())) if problem.optimizer == "adam" else ()


def _jax_lap(problem: Problem) -> Callable[..., Array]:
    """From a state and the orders of the examples, if any, to the state some epochs later and what was recorded."""
    import jax
    import jax.numpy as jnp

    objective, size = _jax_objective(problem), problem.batch_size
    x, y = jnp.asarray(problem.data.x), jnp.asarray(problem.targets)
    measure, update = jax.value_and_grad(objective, has_aux=True), _jax_update(problem)

    def step(state: Array, part: Array) -> tuple[Array, None]:
        _, gradients = measure(state[0], x[part], y[part])
        return update(state, gradients), None

    def minibatches(state: Array, order: Array) -> Array:
        whole = len(x) // size
        state, _ = jax.lax.scan(step, state, order[: whole * size].reshape(whole, size))
        return step(state, order[whole * size :])[0] if len(x) % size else state

    def epoch(state: Array, order: Array) -> tuple[Array, tuple[Array, ...]]:
        (loss, (accuracy, means)), gradients = measure(state[0], x, y)
        norms = jnp.stack([jnp.sqrt((dw**2).sum() + (db**2).sum()) for dw, db in gradients])
        state = update(state, gradients) if size is None else minibatches(state, order)
        return state, (loss, accuracy, norms, means)

    return lambda state, orders=None: jax.lax.scan(epoch, state, orders, length=problem.epochs)


def _jax_update(problem: Problem) -> Callable[[Array, Array], Array]:
    """From a state and gradients to the next state, by gradient descent or Adam."""
    import jax
    import jax.numpy as jnp

    rate = problem.learning_rate

    def descend(state: Array, gradients: Array) -> Array:
        return jax.tree.map(lambda p, g: p - rate * g, state[0], gradients), ()

    def adam(state: Array, gradients: Array) -> Array:
        parameters, (mean, square, t) = state
        t = t + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, square, gradients)

        def moved(p: Array, m: Array, v: Array) -> Array:
            return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(moved, parameters, mean, square), (mean, square, t)

    return adam if problem.optimizer == "adam" else descend
