"""A network as code says in another Python, without this package, what the network itself says."""

import ast
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.activations import ACTIVATIONS
from engine.datasets import Standardization
from engine.losses import OUTPUTS
from engine.network import Network
from engine.source_code import ANSWERS, SPELLED, as_numpy, as_torch
from engine.source_code import OUTPUTS as WRITTEN

X = np.random.default_rng(3).normal(scale=4.0, size=(12, 3))
SIZES = {"sigmoid": 1, "softmax": 4, "linear": 2}
SCALE = Standardization(np.array([10.0, -3.0, 0.0]), np.array([1e-3, 7.0, 1.0]))
RAW = X * SCALE.std + SCALE.mean
"""What the standardization makes X of, but for rounding: 1e-16 of 10 over 1e-3 is 1e-12 of an input."""

NETWORKS = {
    **{f"{name}, {output}": {"activation": name, "output": output} for name, output in product(ACTIVATIONS, OUTPUTS)},
    "no hidden layer": {"hidden": []},
    "skip connections": {"hidden": [5, 5, 4, 4], "skip": True, "activation": ["tanh", "elu", "sine", "leaky relu"]},
    "biases": {"bias": 1.3, "activation": "silu"},
    "packed": {"hidden": [40, 50], "output": "softmax"},
}


def network_of(hidden: Any = (5, 4), output: str = "sigmoid", activation: Any = "relu", **more: Any) -> Network:
    initializer = "large" if output == "linear" else "he"
    return Network([3, *hidden, SIZES[output]], activation, output, initializer, seed=1, **more)


def answers(code: str, x: np.ndarray) -> np.ndarray:
    """What the code's `predict` says, run here as a module would be."""
    names = {"__name__": "network"}
    exec(compile(code, "network.py", "exec"), names)
    return np.asarray(names["predict"](x.tolist()))


def run(code: str, folder: Path) -> str:
    """What the file prints in a Python of its own that cannot find this package."""
    (folder / "network.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-I", "-W", "error", "network.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def same(code: str, x: np.ndarray, network: Network, tolerance: float = 1e-12) -> None:
    """Their sums are taken in another order than the kernel's, whose logits go up to a few hundred."""
    np.testing.assert_allclose(answers(code, x), network.predict(X), rtol=tolerance, atol=tolerance)


def test_every_output_can_be_written():
    assert OUTPUTS.keys() == WRITTEN.keys() == ANSWERS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activations_numpy_text_is_its_function(name):
    z = np.concatenate([np.linspace(-12, 12, 301), [-750.0, -40.0, 40.0, 750.0]])
    with np.errstate(over="ignore"):
        written = eval(ACTIVATIONS[name].in_numpy, {"np": np, "math": __import__("math")}, {"z": z})
    np.testing.assert_allclose(written, ACTIVATIONS[name].function(z), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("name", NETWORKS)
def test_numpy_code_predicts_what_the_network_does(name):
    network = network_of(**NETWORKS[name])
    same(as_numpy(network), X, network)


@pytest.mark.torch
@pytest.mark.parametrize("name", NETWORKS)
def test_pytorch_code_predicts_what_the_network_does_live(name):
    pytest.importorskip("torch")
    network = network_of(**NETWORKS[name])
    same(as_torch(network), X, network)


@pytest.mark.torch
def test_pytorch_code_can_be_trained_on_live():
    torch = pytest.importorskip("torch")
    names: dict[str, Any] = {"__name__": "network"}
    exec(as_torch(network := network_of()), names)
    names["network"](torch.tensor(X)).sum().backward()
    assert sum(p.grad.numel() for p in names["network"].parameters()) == network.n_parameters


@pytest.mark.parametrize("write", [as_numpy, pytest.param(as_torch, marks=pytest.mark.torch)])
def test_with_a_standardization_it_takes_raw_inputs(write):
    if write is as_torch:
        pytest.importorskip("torch")
    network = network_of(activation="tanh")
    same(write(network, SCALE), RAW, network, 1e-10)
    packed = network_of(**NETWORKS["packed"])
    same(write(packed, SCALE), RAW, packed, 1e-10)


@pytest.mark.parametrize("name", ["gelu, softmax", "packed", "skip connections"])
def test_the_file_runs_by_itself_and_prints_its_answers_without_a_warning(name, tmp_path):
    network = network_of(**NETWORKS[name])
    printed = run(as_numpy(network, examples=X), tmp_path).splitlines()
    assert len(printed) == 3
    for line, x, answer in zip(printed, X, network.predict(X), strict=False):
        given_x, given_answer = (np.array(eval(part)) for part in line.split(" -> "))
        np.testing.assert_array_equal(given_x, x)
        np.testing.assert_allclose(given_answer, answer, rtol=1e-12, atol=1e-12)


@pytest.mark.torch
def test_the_pytorch_file_runs_by_itself_live(tmp_path):
    pytest.importorskip("torch")
    network = network_of()
    printed = run(as_torch(network, SCALE, "moons", RAW), tmp_path).splitlines()
    first = float(printed[0].split(" -> ")[1].strip("[]"))
    assert first == pytest.approx(network.predict(X)[0, 0], rel=1e-10)


def test_weights_come_back_bit_for_bit_spelled_and_packed():
    for network in (network_of(), network_of(**NETWORKS["packed"])):
        names: dict[str, Any] = {"__name__": "network"}
        exec(as_numpy(network), names)
        for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True), start=1):
            assert names[f"W{i}"].tobytes() == w.tobytes()
            assert names[f"b{i}"].tobytes() == b.tobytes()
    assert network.n_parameters > SPELLED


def test_weights_that_are_not_finite_can_be_written_too():
    network = network_of()
    network.parameters[0] = np.nan
    assert np.isnan(answers(as_numpy(network), X)).all()


def test_the_docstring_says_what_it_is():
    code = as_numpy(network_of(skip=True, hidden=[5, 5]), about="moons, epoch 500")
    title, _, about = code.split('"""')[1].strip().split("\n")
    assert title == "A network of 3-5-5-1 units: relu, skip connections, sigmoid output."
    assert about == "moons, epoch 500"


NETWORK = Network([1, 1])
STATEMENTS = {
    as_numpy: "Expr Import FunctionDef Assign Assign FunctionDef If",
    as_torch: "Expr Import FunctionDef Assign Assign FunctionDef ClassDef Assign FunctionDef If",
}
"""Those of the file, whatever is said about the network."""


@given(st.text() | st.text(alphabet="\"\\'\n\r{}# \x00\u2028\ud800"))
def test_no_text_breaks_out_of_the_docstring(text):
    for write, statements in STATEMENTS.items():
        code = write(NETWORK, about=f'"""; raise SystemExit(1)\n{text}\\')
        code.encode("utf-8")
        assert [type(part).__name__ for part in ast.parse(code).body] == statements.split()


def test_what_has_another_number_of_features_is_refused():
    network = network_of()
    with pytest.raises(ValueError, match="for 2 features; the network has 3"):
        as_numpy(network, Standardization(np.zeros(2), np.ones(2)))
    for examples in (np.zeros((4, 2)), np.zeros(3), np.zeros((0, 3))):
        with pytest.raises(ValueError, match="expected"):
            as_torch(network, examples=examples)
