"""Watched PyTorch modules: the training is the same as unwatched, and what is logged is PyTorch's own."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.tracking import run_log, torch_hooks
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.logbook import Logbook
from dashboard.tracking.logger import Logger, watch
from dashboard.tracking.named_records import LEVELS, QUANTITIES
from dashboard.tracking.run_log import HEAD, Layout, Measured, RunLog, run_logs

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Using `torch.compile")]

ROOT = Path(__file__).parents[1]
EPOCHS = 6


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own, all batches measured, and nothing that is left over of PyTorch's hooks."""
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    monkeypatch.setattr("dashboard.tracking.torch_adapter.TIME_FRACTION", 1e9)
    monkeypatch.setattr("dashboard.tracking.sampler.TIME_FRACTION", 1e9)
    monkeypatch.setattr("dashboard.tracking.sampler.CREDIT", 1e9)
    yield tmp_path
    gc.collect()
    assert torch_hooks._handles == {"outputs": [], "steps": []}


class LoggedHistory:
    """Everything in a run log, merged epoch by epoch."""

    def __init__(self, key: str) -> None:
        self.run_log, self.layout = RunLog.found(key), Layout()
        self.loss: dict[int, float] = {}
        self.gradients: dict[int, dict[str, float]] = {}
        self.means: dict[int, dict[str, np.ndarray]] = {}
        self.batches: dict[int, list[int]] = {}
        self.weights: dict[int, dict[str, np.ndarray]] = {}
        self.left_out: dict[str, str] = {}
        self.said: list[str] = []
        content, at = self.run_log.records.read_bytes(), 0
        while at < len(content):
            _, kind, length, _ = HEAD.unpack_from(content, at)
            self.take(kind, content[at + HEAD.size : at + HEAD.size + length])
            at += HEAD.size + length

    def take(self, kind: bytes, payload: bytes) -> None:
        if kind == run_log.LAYOUT:
            self.layout = Layout.unpacked(payload)
        elif kind == run_log.EPOCHS:
            self.add(run_log.unpacked(payload, self.layout))
        elif kind == run_log.PARAMETERS:
            index, table = run_log.unpacked_parameters(payload, self.layout)
            ends = np.cumsum([size for _, size in self.layout.weights])[:-1]
            names = [name for name, _ in self.layout.weights]
            for one, row in zip(index.tolist(), table, strict=True):
                self.weights[one] = dict(zip(names, np.split(row, ends), strict=True))
        elif kind == run_log.LEFT_OUT:
            self.left_out |= run_log.left_out(payload)
        elif kind == run_log.MESSAGE:
            self.said.append(run_log.words(payload))

    def add(self, logged: Measured) -> None:
        for row, index in enumerate(logged.epochs.index.tolist()):
            if logged.given[row, 0]:
                self.loss[index] = float(logged.epochs.loss[row])
            norms, means = logged.epochs.gradient_norms[row], logged.epochs.mean_activations[row]
            for place, norm in enumerate(norms):
                if logged.known_layers[place]:
                    self.gradients.setdefault(index, {})[self.layout.layers[place]] = float(norm)
            ends = np.cumsum(self.layout.widths)[:-1] if len(means) else []
            for (name, _), part, known in zip(
                self.layout.units if len(means) else (),
                np.split(means, ends) if len(means) else (),
                np.split(logged.known_units, ends) if len(means) else (),
                strict=True,
            ):
                if known.all():
                    self.means.setdefault(index, {})[name] = part
            self.batches[index] = np.maximum(logged.batches[row], self.batches.get(index, [0, 0])).tolist()


def mlp() -> Any:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def data(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Step:
    """A loop of the usual order for a module: forward, backward, step, log."""

    def __init__(self, module: Any, x: Any, lr: float = 0.05, optimizer: Any = torch.optim.SGD) -> None:
        self.module, self.x = module, x
        self.optimizer = optimizer(module.parameters(), lr=lr)

    def loss(self) -> Any:
        return (self.module(self.x) ** 2).mean()

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        if lab:
            lab.log(epoch, loss)


def simple(module: Callable[[], Any], *shape: int, **options: Any) -> Callable[[], Step]:
    return lambda: Step(module(), data(*shape), **options)


class SharedRun(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.relu = nn.Linear(4, 16), nn.Linear(16, 8), nn.Linear(8, 1), nn.ReLU()
        self.gate, self.sig = nn.Parameter(torch.tensor(0.0)), nn.Sigmoid()

    def forward(self, x: Any) -> Any:
        return self.sig(self.gate) * self.c(self.relu(self.b(self.relu(self.a(x)))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb, self.lstm, self.out = nn.Embedding(9, 5), nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 1)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.emb((x.abs() * 3).long().clamp(max=8)))[0])


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.out, self.raw = nn.Linear(8, 1), nn.Parameter(torch.ones(8, 8) / 8)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x) @ self.raw)


class Bare(nn.Module):
    """A weight in the module itself, and a parametrized layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.utils.parametrizations.weight_norm(nn.Linear(4, 8))
        self.b, self.tied = nn.Linear(8, 4, bias=False), nn.Linear(8, 4, bias=False)
        self.tied.weight = self.b.weight

    def forward(self, x: Any) -> Any:
        return self.b(torch.tanh(self.a(x))) + self.tied(torch.tanh(self.a(x)))


class Gan:
    def __init__(self) -> None:
        self.module = nn.ModuleDict({"g": mlp(), "d": nn.Sequential(nn.Linear(1, 6), nn.LeakyReLU(), nn.Linear(6, 1))})
        self.optimizers = [torch.optim.Adam(one.parameters(), lr=0.01) for one in self.module.values()]

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        g, d = self.module["g"], self.module["d"]
        fake, real = g(data(8, 4, seed=epoch)), data(8, 1, seed=epoch)
        self.optimizers[1].zero_grad()
        (F.softplus(d(fake.detach())).mean() + F.softplus(-d(real)).mean()).backward()
        self.optimizers[1].step()
        self.optimizers[0].zero_grad()
        loss = F.softplus(-d(fake)).mean()
        loss.backward()
        self.optimizers[0].step()
        if lab:
            lab.log(epoch, loss)


class Scaled(Step):
    def __init__(self) -> None:
        super().__init__(mlp(), data(8, 4))
        self.scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.loss()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if lab:
            lab.log(epoch, loss)


class Accumulated(Step):
    def __call__(self, epoch: int, lab: Logger | None) -> None:
        self.optimizer.zero_grad()
        for part in self.x.split(4):
            loss = (self.module(part) ** 2).mean() / 2
            loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 0.01)
        self.optimizer.step()
        if lab:
            lab.log(epoch, loss)


class Closure(Step):
    def __call__(self, epoch: int, lab: Logger | None) -> None:
        def closure() -> Any:
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        loss = self.optimizer.step(closure)
        if lab:
            lab.log(epoch, loss)


class ByHand(Step):
    def __call__(self, epoch: int, lab: Logger | None) -> None:
        self.module.zero_grad()
        loss = self.loss()
        loss.backward()
        with torch.no_grad():
            for one in self.module.parameters():
                one -= 0.05 * one.grad
        if lab:
            lab.log(epoch, loss)


class Saving(Step):
    """What people do with a module in the midst of an epoch."""

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        file = io.BytesIO()
        torch.save(self.module, file)
        assert b"dashboard" not in file.getvalue()
        assert b"dashboard" not in pickle.dumps(self.module) + pickle.dumps(self.optimizer.state_dict())
        twin = copy.deepcopy(self.module)
        for one in twin.modules():
            assert not one._forward_hooks
            assert not one._forward_pre_hooks
        twin.load_state_dict(self.module.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert torch.equal(torch.jit.script(self.module)(self.x), self.module(self.x))
            assert torch.equal(torch.jit.trace(self.module, self.x)(self.x), self.module(self.x))
        self.optimizer.step()
        if lab:
            lab.log(epoch, loss)


class PerExample(Step):
    """Gradients of every example, by torch.func."""

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        parameters = {name: one.detach() for name, one in self.module.named_parameters()}

        def loss(parameters: dict, x: Any) -> Any:
            return (torch.func.functional_call(self.module, parameters, (x[None],)) ** 2).mean()

        found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, self.x)
        for name, one in self.module.named_parameters():
            one.grad = found[name].mean(0)
        self.optimizer.step()
        if lab:
            lab.log(epoch, loss(parameters, self.x[0]))


class Compiled(Step):
    def __init__(self, compile_it: Callable[[Any], Any]) -> None:
        super().__init__(SharedRun(), data(8, 4))
        torch.compiler.reset()
        self.called = compile_it(self.module)

    def loss(self) -> Any:
        return (self.called(self.x) ** 2).mean()


def in_place(module: Any) -> Any:
    module.compile(backend="eager", fullgraph=True)
    return module


def as_function(module: Any) -> Any:
    return torch.compile(lambda x: module(x), backend="eager", fullgraph=True)


class Checkpointed(Step):
    def loss(self) -> Any:
        x = self.x.requires_grad_()
        return (torch.utils.checkpoint.checkpoint(self.module, x, use_reentrant=False) ** 2).mean()


def lazy() -> Any:
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))


class Lazy(Step):
    def __init__(self) -> None:
        self.module, self.x, self.optimizer = lazy(), data(8, 4), None

    def __call__(self, epoch: int, lab: Logger | None) -> None:
        if self.optimizer is None:
            self.module(self.x)
            self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.05)
        super().__call__(epoch, lab)


def cnn() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(96, 2)
    )


TRAININGS: dict[str, Callable[[], Any]] = {
    "a network": simple(mlp, 8, 4),
    "a network, Adam": simple(mlp, 8, 4, optimizer=torch.optim.Adam),
    "convolutions with dropout": simple(cnn, 4, 1, 6, 6),
    "an LSTM": simple(Recurrent, 3, 6),
    "a transformer": simple(Attentive, 3, 5, 8),
    "a GAN": Gan,
    "lazy layers": Lazy,
    "one ReLU for two widths, a scalar gate": simple(SharedRun, 8, 4),
    "weight norm and tied weights": simple(Bare, 8, 4),
    "bfloat16": lambda: Step(mlp().bfloat16(), data(8, 4).bfloat16()),
    "DataParallel": simple(lambda: nn.DataParallel(mlp()), 8, 4),
    "a scaler": Scaled,
    "batches added up and clipped": lambda: Accumulated(mlp(), data(8, 4)),
    "a closure": lambda: Closure(mlp(), data(8, 4)),
    "LBFGS": lambda: Closure(mlp(), data(8, 4), optimizer=torch.optim.LBFGS),
    "updates by hand": lambda: ByHand(mlp(), data(8, 4)),
    "saved, copied, scripted, traced": lambda: Saving(mlp(), data(8, 4)),
    "gradients of every example": lambda: PerExample(mlp(), data(8, 4)),
    "compiled": lambda: Compiled(lambda module: torch.compile(module, backend="eager", fullgraph=True)),
    "compiled in place": lambda: Compiled(in_place),
    "compiled as a function": lambda: Compiled(as_function),
    "checkpointed": lambda: Checkpointed(mlp(), data(8, 4)),
}


def trained(name: str, watched: bool) -> tuple[dict[str, Any], str]:
    """The weights at the end of a training, and the id of its run log."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training = TRAININGS[name]()
    lab = watch(name, module=training.module) if watched else None
    torch.manual_seed(1)
    for epoch in range(EPOCHS):
        training(epoch, lab)
    if lab:
        lab.close()
    return {key: one.clone() for key, one in training.module.state_dict().items()}, lab.id if lab else ""


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_is_watched_gives_bit_for_bit_the_weights_that_it_gives_unwatched(name, caplog):
    plain, _ = trained(name, watched=False)
    shown, key = trained(name, watched=True)
    assert plain.keys() == shown.keys()
    for one in plain:
        assert torch.equal(plain[one], shown[one]), one
    logged = LoggedHistory(key)
    assert sorted(logged.loss) == list(range(EPOCHS))
    assert np.isfinite(list(logged.loss.values())).all()
    assert len(logged.gradients) >= EPOCHS - 1, "gradients of every epoch but perhaps the last"
    assert not [one for one in caplog.records if one.name.startswith("dashboard")]


@pytest.mark.parametrize("name", ["a network", "compiled", "a transformer", "an LSTM"])
@pytest.mark.filterwarnings("error")
def test_warnings_as_errors_lose_no_epoch(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.manual_seed(0)
        training = TRAININGS[name]()
        lab = watch(name, module=training.module)
        for epoch in range(EPOCHS):
            training(epoch, lab)
        lab.close()
    assert sorted(LoggedHistory(lab.id).loss) == list(range(EPOCHS))


def norms_of(module: Any) -> dict[str, float]:
    """By PyTorch: the length of the gradient of each module's own parameters."""
    found = {}
    for name, one in module.named_modules():
        parts = [part.grad for part in one.parameters(recurse=False) if part.grad is not None]
        if parts:
            found[name or type(one).__name__] = float(torch.stack([part.double().norm() for part in parts]).norm())
    return found


NORMS = ["a network", "an LSTM", "a transformer", "convolutions with dropout", "updates by hand", "LBFGS"]


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_pytorchs_own_at_every_epoch(name):
    torch.manual_seed(0)
    training, norms = TRAININGS[name](), []
    with watch(name, module=training.module) as lab:
        for epoch in range(EPOCHS):
            training(epoch, lab)
            norms.append(norms_of(training.module))
    logged = LoggedHistory(lab.id)
    for epoch in range(EPOCHS):
        assert logged.gradients[epoch] == pytest.approx(norms[epoch], rel=1e-9), epoch
    assert logged.batches[1] == [1, 1]


def test_a_gradient_is_that_of_its_epoch_also_where_it_is_logged_before_the_step():
    module, norms = mlp(), []
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with watch("early", module=module) as lab:
        for epoch in range(EPOCHS):
            optimizer.zero_grad()
            loss = (module(data(8, 4, seed=epoch)) ** 2).mean()
            loss.backward()
            norms.append(norms_of(module))
            lab.log(epoch, loss)
            optimizer.step()
    logged = LoggedHistory(lab.id)
    for epoch in range(EPOCHS):
        assert logged.gradients[epoch] == pytest.approx(norms[epoch], rel=1e-9), epoch
    assert not logged.said


@pytest.mark.parametrize("early", [True, False])
def test_scaled_gradients_are_logged_as_the_optimizer_sees_them(early):
    module, x, norms = mlp(), data(8, 4), []
    optimizer, scaler = torch.optim.SGD(module.parameters(), lr=0.01), torch.amp.GradScaler("cpu", init_scale=65536.0)
    with watch("amp", module=module) as lab:
        for epoch in range(4):
            loss = (module(x) ** 2).mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if early:
                lab.log(epoch, loss)
            scaler.step(optimizer)
            scaler.update()
            norms.append(norms_of(module))
            if not early:
                lab.log(epoch, loss)
    logged = LoggedHistory(lab.id)
    for epoch in range(4):
        assert logged.gradients[epoch] == pytest.approx(norms[epoch], rel=1e-6), epoch


def test_a_step_that_a_scaler_leaves_out_has_no_gradient():
    module = mlp()
    optimizer, scaler = torch.optim.SGD(module.parameters(), lr=0.01), torch.amp.GradScaler("cpu", init_scale=1e38)
    with watch("amp", module=module) as lab:
        for epoch in range(3):
            loss = (module(data(8, 4)) ** 2).mean() * 1e3
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            lab.log(epoch, loss)
    assert all(np.isfinite(list(one.values())).all() for one in LoggedHistory(lab.id).gradients.values())


def test_what_has_no_gradient_is_not_known_and_not_nought():
    module = mlp()
    module[0].requires_grad_(False)
    optimizer = torch.optim.SGD([one for one in module.parameters() if one.requires_grad], lr=0.1)
    with watch("frozen", module=module) as lab:
        for epoch in range(3):
            optimizer.zero_grad()
            loss = (module(data(8, 4)) ** 2).mean()
            loss.backward()
            optimizer.step()
            lab.log(epoch, loss)
    logged = LoggedHistory(lab.id)
    assert {name for one in logged.gradients.values() for name in one} == {"2"}


def test_units_lie_along_their_own_axis():
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            self.conv, self.line, self.soft = nn.Conv1d(2, 5, 1), nn.Linear(5, 3), nn.Tanh()
            self.last, self.gate = nn.Linear(3, 1), nn.Sigmoid()

        def forward(self, x: Any) -> Any:
            x = self.relu(self.conv(x).transpose(1, 2))  # (8, 5, 5): which 5 are the units?
            self.seen = x
            x = self.soft(self.line(x))
            self.soft_seen = x
            self.out = self.gate(self.last(x).squeeze(-1))
            return self.out

    module = Turned()
    with watch("turned", module=module) as lab:
        module(data(8, 2, 5)).sum().backward()
        lab.log(0, 1.0)
    means = LoggedHistory(lab.id).means[0]
    assert means["relu"] == pytest.approx(module.seen.detach().double().mean((0, 1)).numpy(), rel=1e-6)
    assert means["soft"] == pytest.approx(module.soft_seen.detach().double().mean((0, 1)).numpy(), rel=1e-6)
    assert means["gate"] == pytest.approx([float(module.out.detach().double().mean())], rel=1e-6)


def test_a_convolution_of_one_example_has_channels_and_no_places_for_units():
    module = nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(0), nn.Linear(5, 1))
    with watch("one", module=module) as lab:
        for epoch, length in enumerate((9, 12, 7)):
            x = data(2, length)
            module(x).sum().backward()
            lab.log(epoch, 1.0)
            seen = module[1](module[0](x)).detach().double().mean(1).numpy()
    logged = LoggedHistory(lab.id)
    assert {len(one["1"]) for one in logged.means.values()} == {5}
    assert logged.means[2]["1"] == pytest.approx(seen, rel=1e-6)


def test_one_relu_for_two_widths_is_logged_call_by_call():
    torch.manual_seed(0)
    module = SharedRun()
    with watch("shared", module=module) as lab:
        module(data(32, 4)).mean().backward()
        lab.log(0, 1.0)
    means = LoggedHistory(lab.id).means[0]
    assert {name: len(one) for name, one in means.items()} == {"relu": 16, "relu (call 2)": 8, "sig": 1}
    assert means["sig"].tolist() == [0.5]


def test_layers_are_measured_or_left_out_with_the_reason():
    torch.manual_seed(0)
    for module, layers, out in (
        (Recurrent(), {"emb", "lstm", "out"}, set()),
        (
            Attentive(),
            {"layer.self_attn", "layer.self_attn.out_proj", "layer.linear1", "layer.linear2", "out", "Attentive"}
            | {"layer.norm1", "layer.norm2"},
            set(),
        ),
        (Bare(), {"a", "b"}, {"tied.weight"}),
        (SharedRun(), {"a", "b", "c", "SharedRun"}, set()),
    ):
        name = type(module).__name__
        x = {"Recurrent": data(3, 6), "Attentive": data(3, 5, 8)}.get(name, data(8, 4))
        with watch(name, module=module) as lab:
            (module(x) ** 2).mean().backward()
            lab.log(0, 1.0)
        logged = LoggedHistory(lab.id)
        assert set(logged.gradients[0]) == layers, name
        assert out <= set(logged.left_out), name
        assert all(logged.left_out.values())


def test_what_is_compiled_is_reported_as_left_out_and_compiled_once():
    import torch._dynamo

    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    training = TRAININGS["compiled"]()
    with watch("compiled", module=training.module) as lab:
        for epoch in range(4):
            training(epoch, lab)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    logged = LoggedHistory(lab.id)
    assert {"activations of relu", "activations of sig"} <= set(logged.left_out)
    assert len(logged.gradients) == 4


def test_arguments_that_cannot_be_measured_leave_the_rest():
    embedding, line = nn.Embedding(9, 3, sparse=True), nn.Linear(3, 1)
    line.bias.requires_grad_(False)
    line(embedding(torch.tensor([1, 2, 2]))).sum().backward()
    expected = float(line.weight.grad.norm()), float(embedding.weight.grad.to_dense().norm())
    with watch("odd") as lab:
        lab.log(
            0,
            torch.tensor(2.0, requires_grad=True),
            gradients={
                "bf16": torch.ones(4, dtype=torch.bfloat16),
                "sparse": embedding.weight.grad,
                "line": line.weight.grad,
                "frozen": line.bias.grad,
                "complex": torch.full((1,), 3 + 4j),
                "meta": torch.empty(3, device="meta"),
            },
            parameters=[torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float8_e4m3fn)],
        )
    logged = LoggedHistory(lab.id)
    assert logged.loss == {0: 2.0}
    assert logged.gradients[0] == pytest.approx(
        {"bf16": 2.0, "sparse": expected[1], "line": expected[0], "complex": 5.0}
    )
    assert "meta" in logged.left_out
    assert "frozen" not in logged.left_out


def test_a_saved_module_that_holds_its_lab_needs_nothing_of_ours(tmp_path):
    module = mlp()
    module.lab = watch("held", module=module)
    module.lab.log(0, 1.0)
    torch.save(module, tmp_path / "module.pt")
    twin = copy.deepcopy(module)
    assert twin.lab is module.lab
    module.lab.close()
    code = f"import torch, sys\nm = torch.load({str(tmp_path / 'module.pt')!r}, weights_only=False)\n"
    code += "m.lab.log(1, 2.0)\nwith m.lab: pass\nassert not any(name.startswith('dashboard') for name in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_is_raised_in_a_hook_is_not_raised_in_the_training(monkeypatch):
    training = TRAININGS["a network"]()
    for name in ("received", "steps", "stepped"):
        monkeypatch.setattr(f"dashboard.tracking.torch_adapter.Probe.{name}", lambda *_: 1 / 0)
    with watch("broken", module=training.module) as lab:
        for epoch in range(3):
            training(epoch, lab)
    assert sorted(LoggedHistory(lab.id).loss) == [0, 1, 2]


def test_another_model_in_training_meanwhile_is_not_measured():
    one, other = TRAININGS["a network"](), TRAININGS["convolutions with dropout"]()
    with watch("one", module=one.module) as lab:
        for epoch in range(3):
            other(epoch, None)
            one(epoch, lab)
    logged = LoggedHistory(lab.id)
    assert set(logged.gradients[2]) == {"0", "2"}
    assert {len(each) for means in logged.means.values() for each in means.values()} == {8}
    assert len(list(run_logs())) == 1


class Small(nn.Module):
    """A convolution, a norm, a recurrent layer and a head, with a unit that is always dead."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU())
        self.memory, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 1)
        with torch.no_grad():
            self.features[1].bias[1] = -1e6

    def forward(self, x: Any) -> Any:
        return self.head(self.memory(self.features(x).transpose(1, 2))[0][:, -1])


def logbook_of(lab: Logger) -> Logbook:
    """What a run logged under names."""
    reader = LogReader(RunLog.found(lab.id))
    assert not reader.damage
    return reader.logbook


def test_every_parameter_belongs_to_a_layer_whose_numbers_are_pytorchs_own():
    torch.manual_seed(0)
    module, x = Small(), data(6, 2, 9)
    outputs, optimizer = {}, torch.optim.Adam(module.parameters(), lr=0.01)
    for name, part in module.named_modules():
        part.register_forward_hook(lambda _, __, output, name=name: outputs.__setitem__(name, output))
    with watch("small", module=module) as lab:
        for epoch in range(3):
            before = {name: one.detach().clone() for name, one in module.named_parameters()}
            optimizer.zero_grad()
            (module(x) ** 2).mean().backward()
            optimizer.step()
            lab.log(epoch, 1.0)
    book = logbook_of(lab)
    owners = {name.rpartition(".")[0] for name, _ in module.named_parameters()}
    assert owners <= set(book.layers)
    assert [name for name, _ in module.named_modules() if name in book.layers] == list(book.layers)
    found = {quantity: dict(zip(book.layers, book.measured(quantity, 2)[0], strict=True)) for quantity in QUANTITIES}
    parts = dict(module.named_parameters())
    for layer in owners:
        square = sum(float((one.grad.double() ** 2).sum()) for name, one in parts.items() if _owner(name) == layer)
        assert found["gradient"][layer] == pytest.approx(square**0.5, rel=1e-6), layer
        weights = [name for name in parts if _owner(name) == layer and parts[name].ndim >= 2]
        weights = weights or [name for name in parts if _owner(name) == layer]
        moved, size = (
            sum(float((one.double() ** 2).sum()) for one in some)
            for some in ([parts[one] - before[one] for one in weights], [before[one] for one in weights])
        )
        assert found["update"][layer] == pytest.approx((moved / size) ** 0.5, rel=1e-5), layer
        output = outputs[layer][0] if layer == "memory" else outputs[layer]
        output = output.detach().double().numpy()
        assert found["mean"][layer] == pytest.approx(output.mean(), rel=1e-5), layer
        assert found["spread"][layer] == pytest.approx(output.std(), rel=1e-5), layer
        levels = [found[name][layer] for name in QUANTITIES[-len(LEVELS) :]]
        assert levels == pytest.approx(np.quantile(output, LEVELS), rel=1e-5), layer
    assert found["dead"]["features.2"] == 0.25
    assert np.isnan(found["gradient"]["features.2"])


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def test_statistics_of_another_moment_are_not_shown_as_those_of_now():
    """What was measured last before an epoch is returned with the epoch at which that was."""
    module = mlp()
    with watch("twice", module=module) as lab:
        lab.log(0, 1.0)
        (module(data(4, 4)) ** 2).mean().backward()
        lab.log(5, 1.0)
        lab.log(9, 1.0)
    book = logbook_of(lab)
    assert book.measured("spread", 4)[1] == -1
    assert [book.measured("spread", epoch)[1] for epoch in (5, 7)] == [5, 5]


def test_every_so_many_epochs_a_module_is_measured_and_trains_the_same(monkeypatch):
    weights = []
    for watched in (False, True):
        torch.manual_seed(0)
        training = Step(mlp(), data(8, 4))
        lab = watch("every", module=training.module, every=3) if watched else None
        for epoch in range(8):
            training(epoch, lab)
        weights.append([one.detach().clone() for one in training.module.parameters()])
        if lab:
            lab.close()
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert sorted(LoggedHistory(lab.id).gradients) == [0, 3, 6]
    assert logbook_of(lab).statistics["update"].index.tolist() == [0, 3, 6]
