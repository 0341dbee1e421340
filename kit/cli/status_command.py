"""`kit status`: what the unit does now; first of all whether anything needs a person."""

from __future__ import annotations

import argparse

from kit.cli.app_lines import app_lines
from kit.cli.output import print_json
from kit.cli.status_text import status_text
from kit.cli.unit import unit_of
from kit.health.status import unit_status


def add_status(parser: argparse.ArgumentParser) -> None:
    """`kit status`."""
    parser.set_defaults(run=show_status)


def show_status(arguments: argparse.Namespace) -> int:
    """Print it. Exit code 0 whenever it could be told, also of a unit that is stopped; `kit doctor` judges."""
    unit = unit_of(arguments)
    status = unit_status(unit.home, unit.settings, unit.clock, apps=app_lines(unit))
    if arguments.json:
        print_json(status)
    else:
        print(status_text(status))
    return 0
