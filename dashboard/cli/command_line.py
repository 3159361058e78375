"""The commands of `descent-lab`, each with its options; what they do is in the other modules of this folder."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

FORMATS = ("npz", "csv")
DEFAULT_PORT = 5006

Adds = Callable[..., argparse.ArgumentParser]
"""Adds a command by its name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the code with which the process should end.

    Args:
        arguments: Those of the command line where None.
    """
    wanted = parser().parse_args(arguments)
    if wanted.home:
        os.environ["DESCENT_LAB_HOME"] = wanted.home
    try:
        return import_module(wanted.module).run(wanted) or 0
    except BrokenPipeError:  # what was written goes to `head` or the like, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        sys.stderr.write(f"descent-lab: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    made = argparse.ArgumentParser(
        prog="descent-lab",
        description="A served laboratory in which one sees why a neural network trains, or does not.",
    )
    commands = made.add_subparsers(required=True, metavar="command")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--home", default="", help="the folder of runs and notes; by default DESCENT_LAB_HOME")
    _add_serve(commands.add_parser, shared)
    _add_runs(commands.add_parser, shared)
    _add_map(commands.add_parser, shared)
    return made


def _add_serve(add: Adds, shared: argparse.ArgumentParser) -> None:
    serve = add("serve", parents=[shared], help="serve the laboratory", epilog=FURTHER)
    serve.set_defaults(module="dashboard.cli.serving")
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 for any that is free")
    serve.add_argument("--address", default="", help="the network interface to listen on; by default all of them")
    serve.add_argument("--prefix", default="", help="the path under which a proxy serves it, such as /lab")
    serve.add_argument("--origin", action="append", default=[], help="a host[:port] by which browsers reach it")
    serve.add_argument(
        "--password", default="", help="asked of everybody; DESCENT_LAB_PASSWORD does the same and shows in no list"
    )
    serve.add_argument("--show", action="store_true", help="open a browser")


def _add_runs(add: Adds, shared: argparse.ArgumentParser) -> None:
    runs = add("runs", help="list, show, export and delete kept and watched runs")
    actions = runs.add_subparsers(required=True, dest="action", metavar="action")
    listing = actions.add_parser("list", parents=[shared], help="all runs, the newest first")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.add_argument("--tag", default="", help="only watched runs with this tag")
    show = actions.add_parser("show", parents=[shared], help="what is known of a run")
    export = actions.add_parser("export", parents=[shared], help="write a run into a file")
    export.add_argument("--to", default="", help="the file; by default the id, in this folder")
    export.add_argument("--format", choices=FORMATS, default="npz", help="a recording, or its numbers as a table")
    delete = actions.add_parser("delete", parents=[shared], help="delete runs that have ended")
    for action in (show, export):
        action.add_argument("id")
    delete.add_argument("id", nargs="+")
    runs.set_defaults(module="dashboard.cli.runs")


def _add_map(add: Adds, shared: argparse.ArgumentParser) -> None:
    made = add("map", parents=[shared], help="compute a map of runs, as the page of maps shows it")
    made.set_defaults(module="dashboard.cli.maps")
    made.add_argument("--x", default="learning_rate", help="what varies across")
    made.add_argument("--y", default="std", help="what varies upward")
    made.add_argument("--measure", default="loss", help="what is measured of every run")
    made.add_argument("--side", type=int, default=16, help="pixels a side: 16, 32, 64, 128 or 256")
    made.add_argument("--epochs", type=int, default=100, help="of each run")
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, as in a link")
    made.add_argument("--to", default="", help="a CSV file; by default the standard output")


FURTHER = "Further options of a server, such as certificates, are those of `panel serve`; see docs/deploy.md."
