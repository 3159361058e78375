"""Frames of all sessions share the time of the server's loop."""

import pytest

from dashboard.server.frame_rate import PERIOD, RECENT, SHARE, FrameRate


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
    return FrameRate(time)


def draw(budget, session, seconds, times=60):
    for _ in range(times):
        budget.spent(session, seconds)


def test_nobody_waits_where_nobody_draws(budget):
    assert budget.period(1) == PERIOD


def test_all_frames_of_a_period_fit_into_their_share(budget):
    for session in range(20):
        draw(budget, session, 0.004)
    periods = {budget.period(session) for session in range(20)}
    assert len(periods) == 1
    assert 20 * (0.004 + budget.AFTER) / periods.pop() == pytest.approx(SHARE, rel=1e-3)


def test_a_session_with_dear_frames_waits_itself_and_nobody_for_it(budget):
    for session in range(4):
        draw(budget, session, 0.004)
    draw(budget, "large", 0.2)
    assert [budget.period(session) for session in range(4)] == [PERIOD] * 4
    used = 4 * (0.004 + budget.AFTER) / PERIOD + (0.2 + budget.AFTER) / budget.period("large")
    assert used == pytest.approx(SHARE, rel=1e-3)


def test_where_all_want_more_than_there_is_all_get_the_same_time(budget):
    for session in range(20):
        draw(budget, session, 0.004 if session % 2 else 0.02)
    cheap, dear = ((seconds + budget.AFTER) / budget.period(one) for one, seconds in ((1, 0.004), (2, 0.02)))
    assert cheap == pytest.approx(dear, rel=1e-3)
    assert 10 * (cheap + dear) == pytest.approx(SHARE, rel=1e-3)


def test_what_is_drawn_for_many_is_drawn_as_often_as_it_is_sent(budget):
    for _ in range(60):
        budget.spent("convoy", 0.009, viewers=50)
        for session in range(50):
            budget.spent(session, 0.002, is_relayed=True)
    assert budget.period("convoy") <= budget.period(1)
    assert 50 * (0.002 + budget.AFTER_RELAYED) / budget.period(1) == pytest.approx(SHARE - (0.0105) / PERIOD, rel=1e-2)


def test_one_slow_frame_is_not_the_rule(budget):
    for session in range(20):
        draw(budget, session, 0.004)
    usual = budget.period(1)
    budget.spent(1, 3.0)
    assert usual < budget.period(1) < 1.3 * usual


def test_whoever_draws_no_more_does_not_count(budget, time):
    draw(budget, 1, 0.04)
    draw(budget, 2, 0.08)
    time.now += RECENT / 2
    draw(budget, 1, 0.04)
    both = budget.period(1)
    time.now += 0.8 * RECENT
    assert PERIOD <= budget.period(1) < both
