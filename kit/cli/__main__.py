"""`kit`: find the command, run it, and let no traceback reach a person.

The words are looked up in a table before argparse is even imported for them, so that `kit --help` and `kit status`
stay within a few times the start of Python itself. An app's own words (`kit frost …`) are looked for only when the
word is no built-in one.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kit.cli.commands import COMMANDS, GROUPS
from kit.errors import KitError, UsageError

if TYPE_CHECKING:
    import argparse

    from kit.cli.parser import KitParser

INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script.

    Returns:
        0 all right, 1 a check failed or something outside is wrong, 2 wrong use, 130 interrupted.
    """
    gc.set_threshold(20_000, 20, 50)  # what a command loads lives to its end; looking for garbage in it costs a tenth
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        sys.stdout.flush()
        gc.freeze()  # the end of a process is the end of its memory: nothing is looked through once more
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # the reader (head, less) has gone; what Python still wants to flush at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort before a person would see a traceback
        from kit.cli.mishaps import explain_mishap

        print(f"kit: {explain_mishap(error, words)}", file=sys.stderr)
        return 1
    return code


def _run(words: list[str]) -> int:
    before, word, after = split_words(words)
    if word is None:
        return _without_command(before)
    arguments = _parse(word, [*before, *after])
    run = getattr(arguments, "run", None)
    if run is None:
        raise UsageError(_which_one(word))
    return int(run(arguments))


def split_words(words: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """What stands before the command, the command, and what stands after it."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] == "--home" else 1
    if at >= len(words):
        return list(words), None, []
    return list(words[:at]), words[at], list(words[at + 1 :])


def _without_command(before: Sequence[str]) -> int:
    if "--version" in before:
        from importlib.metadata import version

        print(f"kit {version('village-kit')}")
        return 0
    unknown = [word for word in before if word not in ("-h", "--help") and not word.startswith(("--home", "--json"))]
    if unknown and unknown[0].startswith("-"):
        from kit.cli.parser import nearest

        options = ["--help", "--version", "--home", "--json"]
        raise UsageError(f"there is no option '{unknown[0]}'{nearest(unknown[0], options)}")
    print(overview())
    return 0


def overview() -> str:
    """The text of `kit --help`."""
    lines = ["usage: kit [--home DIR] COMMAND … [--json]", "", "The village kit. kit COMMAND --help says more."]
    for group in GROUPS:
        lines += ["", f"{group}:"]
        lines += [f"  {word:<10} {command.help}" for word, command in COMMANDS.items() if command.group == group]
    apps = _app_names()
    if apps:
        lines += ["", f"apps (some have commands): {', '.join(apps)}"]
    lines += [
        "",
        "--home DIR   where the unit lives; else $KIT_HOME, else /var/lib/village-kit,",
        "             else ~/.village-kit",
        "--json       JSON for programs",
        "--version    which kit this is",
    ]
    return "\n".join(lines)


def parser_for(word: str) -> KitParser:
    """The complete parser of one command.

    Raises:
        UsageError: there is no such command; the nearest one is named.
    """
    from kit.cli.parser import KitParser

    if word in COMMANDS:
        from importlib import import_module

        command = COMMANDS[word]
        parser = KitParser(prog=f"kit {word}", description=command.help[0].upper() + command.help[1:] + ".")
        getattr(import_module(command.module), command.function)(parser)
        return parser
    from kit.cli.app_commands import app_parser

    return app_parser(word)


def _parse(word: str, words: Sequence[str]) -> argparse.Namespace:
    import argparse

    return parser_for(word).parse_args(words, argparse.Namespace(home=None, json=False))


def _which_one(word: str) -> str:
    import argparse

    for action in parser_for(word)._actions:  # noqa: SLF001 - argparse has no public way to list subcommands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            return f"{word}: say what to do: {', '.join(action.choices)}"
    return f"{word} needs more words; see kit {word} --help"


def _app_names() -> list[str]:
    from kit.entry_points import entry_points

    return [point.name for point in entry_points("village_kit.apps")]


if __name__ == "__main__":
    sys.exit(main())
