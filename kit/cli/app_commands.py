"""The words that apps add: `kit frost …`. Apps are loaded only here, when a word is no built-in one."""

from __future__ import annotations

from kit.cli.commands import COMMANDS
from kit.cli.parser import KitParser, nearest
from kit.errors import UsageError
from village_apps.app import find_apps


def app_parser(word: str) -> KitParser:
    """The parser of the app of that name.

    Raises:
        UsageError: no app has such a command; the nearest word is named.
    """
    apps = {app.command or app.name: app for app in find_apps() if app.commands is not None}
    app = apps.get(word)
    if app is None or app.commands is None:
        visible = [name for name, command in COMMANDS.items() if command.group]
        raise UsageError(f"'{word}' is no command of kit{nearest(word, [*visible, *apps])}")
    parser = KitParser(prog=f"kit {word}", description=f"Commands of the app '{word}'.")
    app.commands(parser)
    return parser
