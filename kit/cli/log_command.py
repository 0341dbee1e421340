"""`kit log`: the last lines of the services' logs, of one service or of all in the order of their time.

`kit log power` is the history of power cuts and killed processes: what was acknowledged before each, and found after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kit.cli.output import print_json
from kit.cli.parser import nearest, whole_number
from kit.errors import UsageError
from kit.health.logs import last_lines, log_files
from kit.health.power_view import history_lines, power_cut_rows
from kit.home import Home, find_home
from kit.settings import load_settings

LINES = 40

POWER = "power"
"""No service, but a history of its own."""


def add_log(parser: argparse.ArgumentParser) -> None:
    """`kit log [SERVICE|power] [--lines N]`."""
    one = "only this one; all of them if left out; power = power cuts, and what was found after each"
    parser.add_argument("service", nargs="?", metavar="SERVICE", help=one)
    parser.add_argument("--lines", type=whole_number, default=LINES, metavar="N", help=f"how many (default {LINES})")
    parser.set_defaults(run=show_log)


def show_log(arguments: argparse.Namespace) -> int:
    """Print them, oldest first."""
    home = find_home(arguments.home)
    if arguments.service == POWER:
        return _show_power(home, arguments)
    files = _chosen(log_files(home), arguments.service)
    lines = last_lines(files, arguments.lines)
    if arguments.json:
        print_json([{"service": line.service, "line": line.text} for line in lines])
        return 0
    for line in lines:
        print(line.text if arguments.service else f"{line.service:<8} {line.text}")
    if not lines:
        print(f"Nothing was logged yet below {home.log}.")
    return 0


def _show_power(home: Home, arguments: argparse.Namespace) -> int:
    rows = power_cut_rows(home)[: arguments.lines]
    if arguments.json:
        print_json(rows)
        return 0
    zone = load_settings(home.settings_file).unit.timezone
    print("\n".join(history_lines(rows, zone)) or "No power cut so far, and no process was killed.")
    return 0


def _chosen(files: dict[str, Path], service: str | None) -> dict[str, Path]:
    if service is None:
        return files
    if service not in files:
        what = nearest(service, [*files, POWER]) if files else "; nothing has run in this home yet"
        raise UsageError(f"there is no log of '{service}'{what}")
    return {service: files[service]}
