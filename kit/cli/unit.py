"""What most commands need of the unit whose home they were pointed at: settings, clock, and the store.

The store is opened read-only wherever a command only tells; such a command never creates a home, a key or a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kit.clock import Clock
from kit.errors import KitError
from kit.home import Home, find_home
from kit.settings import Settings, load_settings
from kit.store.database import Database
from kit.unit_clock import open_unit_clock


@dataclass(frozen=True)
class Unit:
    """A unit as a command sees it."""

    home: Home
    settings: Settings
    clock: Clock

    def now_ms(self) -> int:
        """Unix milliseconds by the unit's own clock, which a simulation may have sped up."""
        return int(self.clock.now() * 1000)


def unit_of(arguments: argparse.Namespace) -> Unit:
    """The unit that `--home` (or the environment) names.

    Raises:
        SettingsError: its kit.toml cannot be used.
    """
    home = find_home(arguments.home)
    return Unit(home, load_settings(home.settings_file), open_unit_clock(home))


@contextmanager
def reading_store(unit: Unit) -> Iterator[Database]:
    """The store, for reading only.

    Raises:
        KitError: there is none yet.
    """
    if not unit.home.database.exists():
        raise KitError(
            f"{unit.home.path} holds no store yet: this unit has never run; start it with `kit run`, "
            f"or name another home with --home DIR"
        )
    with Database(unit.home.database, read_only=True) as database:
        yield database


@contextmanager
def writing_store(unit: Unit) -> Iterator[Database]:
    """The store, for writing; a home that has never run is prepared first, so that `kit device add` can come first."""
    from kit.run.schema import open_unit_store

    unit.home.prepare()
    with open_unit_store(unit.home) as database:
        yield database
