"""The doctor's look at the home: can it be written, has it room, are the keys private, is the store sound?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator

from kit.health.check import Check
from kit.home import Home

ENOUGH_FREE_BYTES = 200_000_000
"""A backup of the store, the logs, and a season of readings (22 bytes each)."""

PATIENCE_S = 5.0
"""Real seconds to wait for a store that somebody holds."""


def check_home(home: Home) -> Iterator[Check]:
    """Writable, and with room."""
    if not home.path.exists():
        todo = "start the unit once: kit run"
        yield Check("home", ok=False, sentence=f"{home.path} does not exist; no unit has run here", todo=todo)
        return
    if not home.path.is_dir():
        todo = "choose another place with --home DIR"
        yield Check("home", ok=False, sentence=f"{home.path} is not a directory", todo=todo)
        return
    if os.access(home.path, os.W_OK | os.X_OK) and not _is_read_only(home):
        yield Check("home", ok=True, sentence=f"{home.path} can be written")
    else:
        todo = "run this as the user the unit runs as, or mend the permissions or the mount"
        yield Check("home", ok=False, sentence=f"{home.path} cannot be written by this user", todo=todo)
    free = shutil.disk_usage(home.path).free
    enough = free >= ENOUGH_FREE_BYTES
    todo = "" if enough else "delete old backups and uploads, or move the home to a larger disk"
    yield Check("disk", ok=enough, sentence=f"{free / 1e6:,.0f} MB are free", todo=todo)


def check_keys(home: Home) -> Iterator[Check]:
    """Directory 0700, files 0600: nobody else reads them."""
    if not home.keys.is_dir():
        yield Check("keys", ok=True, sentence="no keys yet; the unit makes its own when it first runs")
        return
    open_to_others = [
        file.name for file in (home.keys, *sorted(home.keys.iterdir())) if stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_to_others:
        todo = f"chmod 700 {home.keys}; chmod 600 {home.keys}/*"
        named = ", ".join(open_to_others)
        yield Check("keys", ok=False, sentence=f"other users can read {named}", todo=todo)
    else:
        yield Check("keys", ok=True, sentence="readable by their owner only")


def check_password(home: Home) -> Iterator[Check]:
    """The one-time password of the first start was changed."""
    file = home.keys / "technician.json"
    if not file.exists():
        return
    if json.loads(file.read_text()).get("must_change"):
        sentence = "the technician's password is still the one-time one of the first start"
        yield Check(
            "password", ok=False, sentence=sentence, todo="change it on the technician's page, or: kit password"
        )
    else:
        yield Check("password", ok=True, sentence="the technician's password was changed after the first start")


def check_store(home: Home, *, patience_s: float = PATIENCE_S) -> Iterator[Check]:
    """`PRAGMA quick_check`, and the journal that makes commits durable.

    Args:
        home: the unit.
        patience_s: real seconds to wait for a store that somebody holds.
    """
    if not home.database.exists():
        yield Check("store", ok=False, sentence="there is no store yet", todo="start the unit once: kit run")
        return
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{home.database}?mode=ro", uri=True, timeout=patience_s)
        ) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
            journal = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    except sqlite3.OperationalError as error:  # held by somebody, or not this user's to read: no damage
        todo = "run this as the user the unit runs as, or try again in a minute"
        yield Check("store", ok=False, sentence=f"the store cannot be looked at now: {error}", todo=todo)
        return
    except sqlite3.DatabaseError as error:
        found, journal = [str(error)], "wal"
    if found != ["ok"]:
        todo = (
            "start the unit: it sets the damaged file aside, and brings up the newest backup and what can be salvaged"
        )
        yield Check("store", ok=False, sentence=f"the store is damaged: {'; '.join(found)}", todo=todo)
        return
    size = home.database.stat().st_size
    yield Check("store", ok=True, sentence=f"sound, {size / 1e6:.1f} MB")
    todo = "" if journal == "wal" else "stop the unit and start it again; it sets the journal itself"
    # synchronous is a property of each connection, not of the file; the kit's own always set FULL
    sentence = f"journal {journal}; every commit of the kit is on the disk before it is acknowledged"
    yield Check(
        "durability", ok=journal == "wal", sentence=sentence if journal == "wal" else f"journal {journal}", todo=todo
    )


def _is_read_only(home: Home) -> bool:
    # root may write anything but a read-only mount
    return bool(os.statvfs(home.path).f_flag & os.ST_RDONLY)
