"""`kit log`: the last lines of the services' logs, of one service or of all in the order of their time."""

from __future__ import annotations

import argparse
from pathlib import Path

from kit.cli.output import print_json
from kit.cli.parser import nearest
from kit.errors import UsageError
from kit.health.logs import last_lines, log_files
from kit.home import find_home

LINES = 40


def add_log(parser: argparse.ArgumentParser) -> None:
    """`kit log [SERVICE] [--lines N]`."""
    parser.add_argument("service", nargs="?", metavar="SERVICE", help="only this one; all of them if left out")
    parser.add_argument("--lines", type=_count, default=LINES, metavar="N", help=f"how many (default {LINES})")
    parser.set_defaults(run=show_log)


def show_log(arguments: argparse.Namespace) -> int:
    """Print them, oldest first."""
    home = find_home(arguments.home)
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


def _chosen(files: dict[str, Path], service: str | None) -> dict[str, Path]:
    if service is None:
        return files
    if service not in files:
        what = nearest(service, list(files)) if files else "; nothing has run in this home yet"
        raise UsageError(f"there is no log of '{service}'{what}")
    return {service: files[service]}


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of lines")
    return int(text)
