"""`kit password`: replace the technician's password. It is asked for, never an argument: arguments are seen by `ps`."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass

from kit.cli.output import print_json
from kit.errors import KitError, UsageError
from kit.home import find_home
from kit.identity import check_technician_password, set_technician_password

SHORTEST = 10
"""Characters. The page also slows down guessing; together that outlasts a patient guesser (NIST SP 800-63B, 5.1.1)."""


def add_password(parser: argparse.ArgumentParser) -> None:
    """`kit password`."""
    parser.set_defaults(run=change_password)


def change_password(arguments: argparse.Namespace) -> int:
    """Ask for the old and the new one; whoever may write the keys may also go without the old one."""
    home = find_home(arguments.home)
    if not (home.keys / "technician.json").exists():
        raise KitError(f"{home.path} has no technician password yet; it is made when the unit first runs: kit run")
    old, new = _ask()
    right, _ = check_technician_password(home, old)
    if not right:
        raise KitError("that is not the present password; nothing was changed")
    if len(new) < SHORTEST:
        raise UsageError(f"the new password has {len(new)} characters; it takes at least {SHORTEST}")
    if new == old:
        raise UsageError("the new password is the old one; choose another")
    set_technician_password(home, new)
    if arguments.json:
        print_json({"changed": True})
    else:
        print("The technician's password is changed.")
    return 0


def _ask() -> tuple[str, str]:
    if sys.stdin.isatty():
        old = getpass("Present password: ")
        new = getpass("New password: ")
        if getpass("New password again: ") != new:
            raise UsageError("the two new passwords differ; nothing was changed")
        return old, new
    lines = [line.rstrip("\n") for line in sys.stdin.readlines()]
    if len(lines) < 2:  # noqa: PLR2004 - the old and the new one
        raise UsageError("write the present and the new password on two lines of standard input")
    return lines[0], lines[1]
