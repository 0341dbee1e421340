"""A damaged store that serves before all of it is back: what is left to be brought back, in steps of a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kit.backup.newest import emptied, newest_backup
from kit.backup.report import load_task, unfinished
from kit.backup.rest import Rest
from kit.home import Home
from kit.run.schema import unit_migrations
from kit.store.pouring import NEWEST, NewestRows

FEW = NewestRows(dict.fromkeys(NEWEST.most, 10), fewest=10)
"""So that a store of some thousand rows is a large one."""


@contextmanager
def rest_of(home: Home) -> Iterator[Rest]:
    (aside,) = unfinished(home)
    task = load_task(aside)
    assert task is not None
    work = emptied(home.spool / "bring-back")
    with newest_backup(home, work, []) as backup:
        yield Rest(
            home,
            aside,
            task,
            store=home.database,
            backup=backup,
            work=work,
            migrations=unit_migrations(),
            real_s=lambda: 0.0,
            most_rows=300,
        )


def finish(home: Home) -> int:
    """Bring everything back; returns in how many steps."""
    with rest_of(home) as rest:
        return sum(1 for _ in rest.steps())
