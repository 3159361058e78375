"""Frames share the time of the server's loop."""

import pytest

from dashboard.budget import RECENT, SHARE, Budget


class Time:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def budget(time):
    return Budget(time)


def draw(budget, session, seconds, times=60):
    for _ in range(times):
        budget.spent(session, seconds)


def test_nobody_waits_where_nobody_draws(budget):
    assert budget.period == 0


def test_all_frames_of_a_period_fit_into_their_share(budget):
    for session in range(20):
        draw(budget, session, 0.004)
    assert 20 * (0.004 + budget.AFTER) / budget.period == pytest.approx(SHARE, rel=1e-3)


def test_a_slow_session_makes_all_wait_and_one_slow_frame_does_not(budget):
    draw(budget, 1, 0.004)
    usual = budget.period
    budget.spent(1, 3.0)
    assert budget.period < 1.3 * usual
    draw(budget, 2, 0.1)
    assert budget.period > 10 * usual


def test_whoever_draws_no_more_does_not_count(budget, time):
    draw(budget, 1, 0.004)
    draw(budget, 2, 0.008)
    time.now += RECENT / 2
    draw(budget, 1, 0.004)
    both = budget.period
    time.now += 0.6 * RECENT
    assert 0 < budget.period < both / 2
