"""`kit run` and `kit service`: only their arguments; what happens is in `kit.run`, imported when asked for."""

from __future__ import annotations

import argparse

from kit.errors import UsageError


def add_run(parser: argparse.ArgumentParser) -> None:
    """`kit run [--sim] [--speed N] [--core]`."""
    parser.add_argument("--sim", action="store_true", help="simulated hardware, living through a recorded frost night")
    parser.add_argument(
        "--speed",
        type=speed,
        metavar="N",
        default=None,
        help="with --sim: how many times as fast as real time (default: the night in about five minutes)",
    )
    parser.add_argument("--core", action="store_true", help="start a city core beside it, already joined")
    parser.set_defaults(run=run)


def add_service(parser: argparse.ArgumentParser) -> None:
    """`kit service NAME`."""
    parser.add_argument("name", metavar="NAME", help="broker, web, sync…")
    parser.set_defaults(run=service)


def speed(text: str) -> float:
    """A factor above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:  # noqa: PLR2004 - beyond this a day passes between two looks at the clock
        raise argparse.ArgumentTypeError(f"'{text}' is not a speed; write a number above 0, for example 200")
    return value


def run(arguments: argparse.Namespace) -> int:
    """The unit, in the foreground."""
    if arguments.speed is not None and not arguments.sim:
        raise UsageError("--speed is for a simulation; write kit run --sim --speed N")
    from kit.run import run_unit

    return int(run_unit(arguments))


def service(arguments: argparse.Namespace) -> int:
    """One service, in the foreground."""
    from kit.run import run_service

    return int(run_service(arguments))
