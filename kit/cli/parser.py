"""The argument parser of every `kit` command: `--home` and `--json` at any depth, and errors that help.

argparse says what it did not like; a person wants to know what would have been right. Every error is raised as a
`UsageError` with the nearest command or option in it, so that there is one place that prints and one exit code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from kit.errors import UsageError

NEAR = 0.5
"""How alike two words must be to be offered (difflib's ratio): lets `sttaus` find `status`, keeps `ls` from `join`."""


LARGEST = 2**63 - 1
"""SQLite's largest whole number: nothing in a store is counted beyond."""


class KitParser(argparse.ArgumentParser):
    """A parser that knows `--home` and `--json` itself, and so do all its subparsers.

    Their default is suppressed, so that a value given before a subcommand is not overwritten behind it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("conflict_handler", "resolve")  # a command may document --json in its own words
        kwargs["allow_abbrev"] = False  # an abbreviation that works today is ambiguous after the next option
        super().__init__(*args, **kwargs)
        common = self.add_argument_group("everywhere")
        common.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help="the unit's home directory")
        common.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs instead of text"
        )

    def parse_known_args(  # type: ignore[override]  # argparse overloads it for other namespace types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse, but what is left over is an error of the innermost command, which knows what it does take."""
        values, left = super().parse_known_args(args, namespace)
        if left:
            raise UsageError(self._explain_left_over(left))
        return values, left

    def error(self, message: str) -> NoReturn:
        """Turn argparse's message into a sentence with what would be right.

        Raises:
            UsageError: always.
        """
        raise UsageError(self._explain(message))

    def _explain_left_over(self, words: Sequence[str]) -> str:
        name = self.prog.removeprefix("kit ")
        option = next((word for word in words if word.startswith("-")), None)
        if option is None:
            return f"{name}: '{words[0]}' is one word too many; see {self.prog} --help"
        word = option.partition("=")[0]
        options = [text for action in self._actions for text in action.option_strings]
        return f"{name} has no option '{word}'{nearest(word, options)}"

    def _explain(self, message: str) -> str:
        name = self.prog.removeprefix("kit ")
        choice = re.match(r"argument ([^:]+): invalid choice: '?([^']*?)'? \(choose from (.*)\)", message, re.DOTALL)
        if choice:
            known = [word.strip(" '\"") for word in choice[3].split(",")]
            return f"{name}: '{choice[2]}' is not known here{nearest(choice[2], known)}"
        missing = re.match(r"the following arguments are required: (.*)", message)
        if missing:
            return f"{name}: say also {missing[1]}; see {self.prog} --help"
        told = re.sub(r"^argument ([^:]+): ", r"\1: ", message)
        return f"{name}: {told}; see {self.prog} --help"


def whole_number(text: str) -> int:
    """An argument that numbers or counts something: from 1 on, at most what a store can hold."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(LARGEST)) else 0
    if not 0 < number <= LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return number


def nearest(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or the whole list when nothing is near."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=NEAR)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; it is one of: {', '.join(known)}" if known else ""
