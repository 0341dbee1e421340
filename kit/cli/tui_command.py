"""`kit tui`: the technician's screen, imported only here because it costs what ten other commands cost."""

from __future__ import annotations

import argparse
import sys

from kit.cli.unit import unit_of
from kit.errors import UsageError


def add_tui(parser: argparse.ArgumentParser) -> None:
    """`kit tui`."""
    parser.set_defaults(run=tui)


def tui(arguments: argparse.Namespace) -> int:
    """Show the unit until q is pressed."""
    unit = unit_of(arguments)
    if arguments.json:
        from kit.cli.status_command import show_status

        return show_status(arguments)  # a screen has no JSON; the facts on it have
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise UsageError("the screen needs a terminal; kit status tells the same facts as text")
    from kit.cli.app_lines import app_lines
    from tui.app import run_tui

    run_tui(unit.home, unit.settings, unit.clock, app_lines=lambda: app_lines(unit))
    return 0
