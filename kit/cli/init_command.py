"""`kit init`: a commented kit.toml where there is none."""

from __future__ import annotations

import argparse

from kit.cli.output import print_json
from kit.errors import KitError
from kit.home import explain_home_error, find_home, write_new
from kit.settings import load_settings, settings_as_toml


def add_init(parser: argparse.ArgumentParser) -> None:
    """`kit init [--home DIR]`."""
    parser.set_defaults(run=init)


def init(arguments: argparse.Namespace) -> int:
    """Write `kit.toml` with every setting in it; one that is there already is checked and left as it is."""
    home = find_home(arguments.home)
    written = not home.settings_file.exists()
    if written:
        home.prepare()
        try:
            write_new(home.settings_file, settings_as_toml().encode())
        except FileExistsError:
            written = False  # if somebody wrote one in between, theirs stays
        except OSError as error:
            raise KitError(explain_home_error(home.path, error)) from error
    load_settings(home.settings_file)
    if arguments.json:
        print_json({"home": str(home.path), "settings": str(home.settings_file), "written": written})
    elif written:
        print(f"Wrote {home.settings_file}. Every setting is in it, with what it means; change what you need.")
        print("Then start the unit: kit run")
    else:
        print(f"{home.settings_file} is there already and can be used; it was left as it is.")
    return 0
