"""A trained network as a Python file of its own, for NumPy or for PyTorch, without this package.

    Path("network.py").write_text(as_numpy(network, about="moons, epoch 500"), encoding="utf-8")

The file holds the weights in full precision and a function `predict(x)`; when it is run, it shows that at work.
"""

import base64
from textwrap import wrap

import numpy as np

from engine.activations import ACTIVATIONS
from engine.datasets import Standardization
from engine.features import COORDINATES, FeatureMap
from engine.network import Network

SPELLED = 2000
"""The most parameters that are written out as numbers; more of them are packed."""

WIDTH = 100
"""Letters of a line of numbers."""

MAX_EXAMPLES = 3
"""Examples of the demonstration at most."""

ANSWERS = {
    "sigmoid": "the probability that the label is 1",
    "softmax": "the probability of each class",
    "linear": "the predicted values",
}
OUTPUTS = {
    "sigmoid": ("1 / (1 + np.exp(-z))", "torch.sigmoid(z)"),
    "softmax": ("np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))", "torch.softmax(z, dim=1)"),
    "linear": ("z", "z"),
}
"""Every output as an expression in its logits z, in NumPy and in PyTorch."""

IN_NUMPY = '''\
"""{about}"""

{imports}import numpy as np
{functions}

{arrays}


def predict(x):
    """{answers}, (n, {outputs}), for examples x, (n, {features})."""
    a = {inputs}{features_of}
    with np.errstate(over="ignore"):
        {steps}


{demonstration}'''
IN_TORCH = '''\
"""{about}"""

{imports}import torch
{functions}

{arrays}


def layer(weights, biases):
    """A layer with these weights, (inputs, units), and biases, (units,)."""
    made = torch.nn.Linear(*weights.shape, dtype=torch.float64)
    made.load_state_dict({{"weight": weights.T, "bias": biases}})
    return made


class Network(torch.nn.Module):
    """The network, which can be trained on."""

    def __init__(self):
        super().__init__()
        {layers}

    def forward(self, x):
        a = {inputs}{features_of}
        {steps}


network = Network()


def predict(x):
    """{answers}, (n, {outputs}), for examples x, (n, {features})."""
    with torch.no_grad():
        return network(torch.as_tensor(x, dtype=torch.float64))


{demonstration}'''
DEMONSTRATION = """\
if __name__ == "__main__":
    x = {}
    for example, answer in zip(x, predict(x).tolist()):
        print(example, "->", answer)
"""
FUNCTION = """

def {name}(z):
    return {expression}
"""
UNPACK = '''

def unpacked(shape, text):
    """Numbers, in full precision, that were packed as text."""
    return {}.reshape(shape)
'''
UNPACKED = (
    'np.frombuffer(base64.b64decode(text), "<f8")',
    'torch.tensor([number for (number,) in struct.iter_unpack("<d", base64.b64decode(text))], dtype=torch.float64)',
)
ARRAY = "np.array({})", "torch.tensor({}, dtype=torch.float64)"


def as_numpy(
    network: Network,
    standardization: Standardization | None = None,
    about: str = "",
    examples: np.ndarray | None = None,
    features: FeatureMap | None = None,
) -> str:
    """A Python file with the network as it is, for NumPy alone.

    Its `predict(x)`, (n, outputs) for examples (n, features), gives what the network's own does but for rounding.

    Args:
        network: The network.
        standardization: What the network's inputs went through: with it, `predict` takes them as they were before.
        about: What it was trained on, how long, and so on: any text.
        examples: (k, features) what the demonstration shows, the first three of them; else one of zeros.
        features: What the network's inputs were made of: with it, `predict` takes points of the plane, (n, 2).

    Raises:
        ValueError: If standardization, examples or features have another number of features than the network.
    """
    steps = _steps(network, "a @ W{0} + b{0}")
    parts = _parts(network, standardization, about, examples, features, dialect=0)
    inputs = _scaled("np.asarray(x, dtype=np.float64)", standardization)
    made = f"\n    x = a\n    a = np.stack([{features.code('np')}], axis=1)" if features else ""
    return IN_NUMPY.format(**parts, inputs=inputs, features_of=made, steps="\n        ".join(steps))


def as_torch(
    network: Network,
    standardization: Standardization | None = None,
    about: str = "",
    examples: np.ndarray | None = None,
    features: FeatureMap | None = None,
) -> str:
    """A Python file with the network as it is, as a PyTorch module in double precision; otherwise like `as_numpy`."""
    layers = [f"self.layer{i} = layer(W{i}, b{i})" for i in range(1, len(network.sizes))]
    steps = _steps(network, "self.layer{0}(a)")
    parts = _parts(network, standardization, about, examples, features, dialect=1)
    spaced = {"layers": "\n        ".join(layers), "steps": "\n        ".join(steps)}
    made = f"\n        x = a\n        a = torch.stack([{features.code('torch')}], dim=1)" if features else ""
    return IN_TORCH.format(**parts, **spaced, features_of=made, inputs=_scaled("x", standardization))


def _parts(
    network: Network,
    standardization: Standardization | None,
    about: str,
    examples: np.ndarray | None,
    features: FeatureMap | None,
    dialect: int,
) -> dict[str, object]:
    """What both templates have in common, in one of the two dialects."""
    if features and len(features.names) != network.sizes[0]:
        raise ValueError(f"there are {len(features.names)} input features; the network has {network.sizes[0]} inputs")
    given, outputs = len(COORDINATES) if features else network.sizes[0], network.sizes[-1]
    functions = _functions(network, dialect) + (UNPACK.format(UNPACKED[dialect]) if _packs(network) else "")
    return {
        "about": _in_docstring(f"{_title(network)}\n\n{about}\n"),
        "imports": _imports(functions),
        "functions": functions,
        "arrays": "\n".join(_arrays(network, standardization, given, ARRAY[dialect])),
        "answers": ANSWERS[network.output].capitalize(),
        "features": given,
        "outputs": outputs,
        "demonstration": DEMONSTRATION.format(_shown(examples, given)),
    }


def _title(network: Network) -> str:
    hidden = ", ".join(dict.fromkeys(network.activations)) or "no hidden layer"
    skips = ", skip connections" if any(network.skips) else ""
    return f"A network of {'-'.join(map(str, network.sizes))} units: {hidden}{skips}, {network.output} output."


def _imports(functions: str) -> str:
    """What the functions use of the standard library."""
    used = [f"import {name}\n" for name in ("base64", "math", "struct") if f"{name}." in functions]
    return "".join(used) + "\n" if used else ""


def _in_docstring(text: str) -> str:
    """Any text as it may stand between triple quotes."""
    lines = "\n".join(text.splitlines())
    printable = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in lines).strip()
    return printable.replace("\\", "\\\\").replace('"', '\\"') + "\n"


def _functions(network: Network, dialect: int) -> str:
    """A function for every activation and for the output."""
    used = {name: (ACTIVATIONS[name].in_numpy, ACTIVATIONS[name].in_torch) for name in network.activations}
    used[network.output] = OUTPUTS[network.output]
    return "".join(FUNCTION.format(name=_identifier(name), expression=pair[dialect]) for name, pair in used.items())


def _identifier(name: str) -> str:
    return name.replace(" ", "_")


def _steps(network: Network, product: str) -> list[str]:
    """The forward pass line by line; `product` is what a layer makes of a, given its number."""
    products = [product.format(i) for i in range(1, len(network.sizes))]
    hidden = [
        f"a = {'a + ' if skip else ''}{_identifier(name)}({z})"
        for name, skip, z in zip(network.activations, network.skips, products[:-1], strict=True)
    ]
    return [*hidden, f"return {_identifier(network.output)}({products[-1]})"]


def _scaled(x: str, standardization: Standardization | None) -> str:
    return f"({x} - MEAN) / STD" if standardization else x


def _arrays(network: Network, standardization: Standardization | None, given: int, array: str) -> list[str]:
    """An assignment for every array."""
    named = {}
    if standardization:
        named = {"MEAN": _checked(standardization.mean, given), "STD": _checked(standardization.std, given)}
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True), start=1):
        named |= {f"W{i}": w, f"b{i}": b}
    as_text = _packed if _packs(network) else lambda values: array.format(_spelled(values))
    return [f"{name} = {as_text(values)}" for name, values in named.items()]


def _checked(numbers: np.ndarray, given: int) -> np.ndarray:
    if len(numbers) != given:
        raise ValueError(f"the standardization is for {len(numbers)} features; the network has {given}")
    return numbers


def _packs(network: Network) -> bool:
    """Whether numbers are packed: too many of them, or some that Python cannot write."""
    return network.n_parameters > SPELLED or not np.isfinite(network.parameters).all()


def _spelled(values: np.ndarray) -> str:
    """An array of one or two axes as a list, its shortest digits that give the same numbers back, in lines."""
    if values.ndim == 1:
        return _wrapped(repr(values.tolist()))
    return "[\n" + "".join(f"    {_wrapped(repr(row), 5)},\n" for row in values.tolist()) + "]"


def _wrapped(text: str, margin: int = 4) -> str:
    return ("\n" + " " * margin).join(wrap(text, WIDTH - margin, break_long_words=False))


def _packed(values: np.ndarray) -> str:
    text = base64.b64encode(np.ascontiguousarray(values, "<f8").tobytes()).decode()
    lines = "".join(f'    "{line}"\n' for line in wrap(text, WIDTH))
    return f"unpacked({values.shape}, (\n{lines}))"


def _shown(examples: np.ndarray | None, features: int) -> str:
    """Some examples as a list."""
    given = np.zeros((1, features)) if examples is None else np.asarray(examples, np.float64)
    if given.ndim != 2 or given.shape[1] != features or not len(given):
        raise ValueError(f"examples have the shape {given.shape}; expected (k, {features}) with k of at least 1")
    return _spelled(given[:MAX_EXAMPLES]).replace("\n", "\n    ")
