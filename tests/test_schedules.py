"""Laws of all schedules, and PyTorch's factors."""

import numpy as np
import pytest

from engine.options import options
from engine.schedules import SCHEDULES

EPOCHS = range(0, 3000, 7)

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def factors(schedule, epochs=EPOCHS) -> np.ndarray:
    return np.array([schedule.factor(epoch) for epoch in epochs])


@every_schedule
def test_no_factor_exceeds_one_or_falls_below_zero(name):
    assert ((factors(SCHEDULES[name]()) >= 0) & (factors(SCHEDULES[name]()) <= 1)).all()


@every_schedule
def test_only_warmup_ever_raises_the_learning_rate(name):
    change = np.diff(factors(SCHEDULES[name]()))
    assert (change >= 0).all() if name == "warmup" else (change <= 0).all()


@every_schedule
def test_every_option_is_explained_and_starts_within_its_bounds(name):
    for option in options(SCHEDULES[name]).values():
        assert option.range.doc
        assert option.range.low <= option.default <= option.range.high


def test_step_drops_after_every_so_many_epochs():
    assert factors(SCHEDULES["step"](every=3, drop=0.5), range(7)).tolist() == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_exponential_halves_in_a_half_life():
    schedule = SCHEDULES["exponential"](half_life=40)
    assert schedule.factor(120) == pytest.approx(0.125)


def test_cosine_is_halfway_down_at_half_time_and_rests_on_its_floor():
    schedule = SCHEDULES["cosine"](duration=100, floor=0.2)
    assert [schedule.factor(epoch) for epoch in (0, 50, 100, 5000)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_warmup_grows_in_equal_steps_to_one():
    assert factors(SCHEDULES["warmup"](duration=4), range(6)).tolist() == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("step", {"every": 0}),
        ("exponential", {"half_life": 0}),
        ("cosine", {"duration": 0}),
        ("warmup", {"duration": -1}),
    ],
)
def test_a_length_of_nothing_is_refused(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SCHEDULES[name](**wrong)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["step", "exponential", "cosine", "warmup"])
def test_factors_are_pytorchs_live(name):
    torch = pytest.importorskip("torch")
    from torch.optim import lr_scheduler

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    ours, theirs = {
        "step": ({"every": 7, "drop": 0.3}, lambda: lr_scheduler.StepLR(optimizer, 7, 0.3)),
        "exponential": ({"half_life": 9.0}, lambda: lr_scheduler.ExponentialLR(optimizer, 0.5 ** (1 / 9))),
        "cosine": ({"duration": 50, "floor": 0.1}, lambda: lr_scheduler.CosineAnnealingLR(optimizer, 50, 0.1)),
        "warmup": ({"duration": 8}, lambda: lr_scheduler.LinearLR(optimizer, 1 / 8, total_iters=7)),
    }[name]
    scheduler, expected = theirs(), []
    for _ in range(50):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(factors(SCHEDULES[name](**ours), range(50)), expected, rtol=1e-12)
