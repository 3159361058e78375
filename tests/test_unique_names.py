"""Runs with the same name are distinguished in every list, and equally in all."""

from dataclasses import dataclass
from itertools import permutations

import pytest

from dashboard.storage.unique_names import unique_names


@dataclass(frozen=True)
class Named:
    id: str
    name: str
    created: str


def listed(*moments: str, name: str = "moons") -> list[Named]:
    return [Named(f"id-{place}", name, moment) for place, moment in enumerate(moments)]


@pytest.mark.parametrize(
    ("moments", "marks"),
    [
        (["2026-11-23T19:00:00"], ["moons"]),
        (["2026-11-23T19:00:00", "2026-11-23T19:01:59"], ["moons, 23 Nov 19:00", "moons, 23 Nov 19:01"]),
        (
            ["2026-11-23T19:00:00", "2026-11-23T19:00:01"],
            ["moons, 23 Nov 2026 19:00:00", "moons, 23 Nov 2026 19:00:01"],
        ),
        (
            ["2025-11-23T19:00:00", "2026-11-23T19:00:00"],
            ["moons, 23 Nov 2025 19:00:00", "moons, 23 Nov 2026 19:00:00"],
        ),
        (
            ["2026-11-23T19:00:00"] * 2,
            ["moons, 23 Nov 2026 19:00:00 (1)", "moons, 23 Nov 2026 19:00:00 (2)"],
        ),
        (["no date", ""], ["moons, no date", "moons, "]),
    ],
)
def test_a_name_that_occurs_twice_is_followed_by_what_distinguishes_the_runs(moments, marks):
    runs = listed(*moments)
    for order in permutations(runs):
        assert unique_names(order) == dict(zip([run.id for run in runs], marks, strict=True))


def test_a_name_that_occurs_once_stays_as_it_is():
    one, other = listed("2026-11-23T19:00:00"), Named("b", "circles", "2026-11-23T19:00:00")
    assert unique_names([*one, other]) == {"id-0": "moons", "b": "circles"}
