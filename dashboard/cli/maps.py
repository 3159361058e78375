"""Computes a map of runs, and writes it as a table."""

import argparse
import csv
import sys
from contextlib import nullcontext
from pathlib import Path

from dashboard.state.run_map import RunMap
from dashboard.state.settings import Settings


def run(wanted: argparse.Namespace) -> int:
    """Compute a map; progress goes to the standard error. Pixels that are not computed have their neighbors' value.

    Raises:
        ValueError: If there can be no such map.
    """
    given = dict(part.partition("=")[::2] for part in wanted.set)
    unknown = given.keys() - set(Settings.names())
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} is no setting; choose among {', '.join(Settings.names())}")
    usual = {"initializer": "normal"} if "std" in (wanted.x, wanted.y) and "initializer" not in given else {}
    settings, problems = Settings.from_query(given | usual)
    if problems:
        raise ValueError(" ".join(problems))
    asked = RunMap(x=wanted.x, y=wanted.y, measure=wanted.measure, side=wanted.side, epochs=wanted.epochs)
    if misfit := asked.misfit(settings):
        raise ValueError(misfit)
    sweep = asked.new(settings)
    for progress in sweep.run():
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{progress.share:.0%} ")
    values = sweep.values(wanted.measure)
    with Path(wanted.to).open("w", newline="", encoding="utf-8") if wanted.to else nullcontext(sys.stdout) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([wanted.x, wanted.y, wanted.measure, "computed"])
        for column in range(sweep.size[0]):
            for row in range(sweep.size[1]):
                here = sweep.settings_of(column, row)
                place = [here[axis.name] for axis in asked.axes]
                rows.writerow([*place, values[row, column], int(sweep.computed[row, column])])
    return 0
