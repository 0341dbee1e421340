"""Every migration of the unit's store, and how a process opens it."""

from __future__ import annotations

from kit.home import Home
from kit.store import schema
from kit.store.database import Database
from kit.store.migrations import Migration
from village_apps.app import find_apps


def unit_migrations() -> tuple[Migration, ...]:
    """The kit's own tables, then every installed app's."""
    own = [migration for app in find_apps() if app.migrations is not None for migration in app.migrations()]
    return (*schema.MIGRATIONS, *own)


def open_unit_store(home: Home) -> Database:
    """The unit's store with its schema up to date; use it as a context manager.

    Raises:
        StoreError: it cannot be opened (on entering).
    """
    return Database(home.database, migrations=unit_migrations())
