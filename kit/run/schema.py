"""Every migration of the unit's store, and how a process opens it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from kit.clock import SystemClock
from kit.home import Home
from kit.store.database import Database
from kit.store.ledger import Ledger
from kit.unit_clock import open_unit_clock

if TYPE_CHECKING:
    from kit.store.migrations import Migration

_process = ["cli"]
_up_to_date: set[Home] = set()


def unit_migrations() -> tuple[Migration, ...]:
    """The kit's own tables, then every installed app's."""
    from kit.store import schema
    from village_apps.app import find_apps

    own = [migration for app in find_apps() if app.migrations is not None for migration in app.migrations()]
    return (*schema.MIGRATIONS, *own)


def open_unit_store(home: Home, *, hurried: bool = False) -> Database:
    """The unit's store with its schema up to date; use it as a context manager.

    Args:
        home: of the unit.
        hurried: somebody waits for each commit; see `Database`.

    Raises:
        StoreError: it cannot be opened (on entering).
    """
    migrations = () if home in _up_to_date else unit_migrations()
    return Database(home.database, migrations=migrations, ledger=process_ledger(home), hurried=hurried)


def is_up_to_date(home: Home) -> None:
    """Said by whoever has seen that nothing is pending: this process need not load every module that has tables."""
    _up_to_date.add(home)


def name_process(name: str) -> None:
    """Under which name this process's ledger stands; called first in a service."""
    _process[0] = name


@cache
def process_ledger(home: Home) -> Ledger:
    """The one ledger of this process for that home."""
    return Ledger(home.ledger, _process[0], clock=open_unit_clock(home), real_s=SystemClock().monotonic)
