"""The devices that may sign in to the broker, and how their passwords are kept.

A device's password is not chosen by a person: it is 160 random bits, shown once. Nobody can try that many, so a single
salted SHA-256 keeps it as safe as a slow hash would, and a hundred devices that reconnect after a power cut sign in
within milliseconds (a slow hash took 146 ms each in another broker).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from kit.broker.access import overlapping
from kit.errors import KitError, UsageError
from kit.model.grants import Grants, native_grants
from kit.model.places import NOWHERE, Place
from kit.store.facts import count_change
from kit.store.learned import forget
from kit.store.migrations import sql

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
SERVICE_PREFIX = "kit-"
"""Reserved for the unit's own services; see `kit.broker.access`."""

PASSWORD_BYTES = 20
SALT_BYTES = 16

MIGRATIONS = (
    sql(
        "devices",
        "0001_devices",
        """
        CREATE TABLE devices (
            name TEXT PRIMARY KEY, kind TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,
            added_ms INTEGER NOT NULL) WITHOUT ROWID
        """,
    ),
    sql(
        "devices",
        "0002_topics_and_places",
        """
        UPDATE devices SET kind = 'native' WHERE kind = 'senml';
        ALTER TABLE devices ADD COLUMN base TEXT NOT NULL DEFAULT '';
        ALTER TABLE devices ADD COLUMN place TEXT NOT NULL DEFAULT '';
        ALTER TABLE devices ADD COLUMN latitude REAL;
        ALTER TABLE devices ADD COLUMN longitude REAL;
        ALTER TABLE devices ADD COLUMN client_id TEXT;
        ALTER TABLE devices ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE device_topics (
            device TEXT NOT NULL, use TEXT NOT NULL, filter TEXT NOT NULL, PRIMARY KEY (device, use, filter)
        ) WITHOUT ROWID
        """,
    ),
    sql(
        "devices",
        "0003_learned",
        """
        CREATE TABLE learned (
            device TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (device, key)
        ) WITHOUT ROWID
        """,
    ),
    sql(
        "devices",
        "0004_places_of_parts",
        """
        CREATE TABLE part_places (
            name TEXT PRIMARY KEY, place TEXT NOT NULL, latitude REAL, longitude REAL) WITHOUT ROWID
        """,
    ),
)

NATIVE = "native"
"""The kind of a device that speaks the kit's own dialect, SenML."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device signs in with; the password exists nowhere else and is shown once."""

    username: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that may sign in.

    Attributes:
        kind: the dialect it speaks, "native" for the kit's own.
        base: where its topics begin; "" = as its dialect has it for this name.
        added_ms: Unix ms.
        place: where it stands.
        open: it has no password and comes through the listener for such devices: whoever is in the network can
            pretend to be it.
    """

    name: str
    kind: str
    added_ms: int
    base: str = ""
    place: Place = NOWHERE
    open: bool = False


class DuplicateDevice(KitError):  # noqa: N818 - says what is wrong
    """There is a device of that name already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is a device named '{name}' already; choose another name, "
            f"or make a new password for that one: kit device rotate {name}"
        )
        self.name = name


class UnknownDevice(KitError):  # noqa: N818 - says what is wrong
    """There is no device of that name."""


def check_name(name: str) -> None:
    """See whether a device may be named so.

    Raises:
        UsageError: it may not; the sentence says why.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be a device's name: use 1 to 32 small letters, digits, '-' and '_', "
            f"beginning with a letter or a digit; for example 'field-3'"
        )
    if name.startswith(SERVICE_PREFIX):
        raise UsageError(f"'{name}' cannot be a device's name: names beginning with 'kit-' are the kit's own services")


class TakenTopic(KitError):  # noqa: N818 - says what is wrong
    """Another device speaks on that topic already."""

    def __init__(self, topic: str, other: str) -> None:
        super().__init__(f"the topic '{topic}' belongs to the device '{other}' already; give this device another topic")
        self.topic, self.other = topic, other


def add_device(
    connection: sqlite3.Connection,
    name: str,
    *,
    now_ms: int,
    kind: str = NATIVE,
    base: str = "",
    grants: Grants | None = None,
    place: Place | None = None,
) -> Credentials:
    """Let a device in from now on; no restart is needed.

    Args:
        connection: inside the caller's transaction.
        name: its name and user name.
        now_ms: Unix ms.
        kind: the dialect it speaks.
        base: where its topics begin; "" = as its dialect has it for this name.
        grants: what it may do; None = what a native device may.
        place: where it stands.

    Raises:
        UsageError: the name cannot be used.
        DuplicateDevice: there is one of that name already.
        TakenTopic: another device has one of its topics.
    """
    check_name(name)
    import secrets

    password = secrets.token_urlsafe(PASSWORD_BYTES)
    insert_device(connection, name, password.encode(), kind=kind, base=base, place=place or NOWHERE, now_ms=now_ms)
    set_grants(connection, name, grants or native_grants(name))
    return Credentials(name, password)


def insert_device(
    connection: sqlite3.Connection,
    name: str,
    password: bytes,
    *,
    kind: str,
    base: str,
    place: Place,
    now_ms: int,
    client_id: str | None = None,
    open_device: bool = False,
) -> None:
    """Write the device's row, without its grants.

    Raises:
        DuplicateDevice: there is one of that name already.
    """
    import secrets

    salt = secrets.token_bytes(SALT_BYTES)
    try:
        connection.execute(
            "INSERT INTO devices (name, kind, salt, hash, added_ms, base, place, latitude, longitude, client_id, open) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, kind, salt, digest(salt, password), now_ms, base, *place.as_row(), client_id, open_device),
        )
    except sqlite3.IntegrityError:
        raise DuplicateDevice(name) from None


def set_grants(connection: sqlite3.Connection, name: str, grants: Grants) -> None:
    """Write down what a device may do, in place of what it might.

    Raises:
        TakenTopic: another device has one of its own topics.
    """
    others = connection.execute(
        "SELECT device, filter FROM device_topics WHERE use = 'publish' AND device != ?", (name,)
    ).fetchall()
    for other, theirs in [*others, *_without_rows(connection, name)]:
        taken = overlapping(grants.publish, [theirs])
        if taken is not None:
            raise TakenTopic(taken[0], other)
    connection.execute("DELETE FROM device_topics WHERE device = ?", (name,))
    connection.executemany(
        "INSERT OR IGNORE INTO device_topics VALUES (?, ?, ?)",
        [(name, use, wanted) for use in _USES for wanted in getattr(grants, use)],
    )
    count_change(connection, CHANGED)


_USES = ("publish", "hear", "read")
CHANGED = "devices"
"""The subject (`kit.store.facts`) that counts changes of devices and their topics."""


def grants_of(connection: sqlite3.Connection, name: str) -> Grants:
    """What a device may do."""
    rows = connection.execute("SELECT use, filter FROM device_topics WHERE device = ? ORDER BY filter", (name,))
    # devices of an older kit have no rows
    return _grants(rows.fetchall()) or native_grants(name)


def all_grants(connection: sqlite3.Connection) -> dict[str, Grants | None]:
    """What each device may do; devices of an older kit are not in it."""
    rows = connection.execute("SELECT device, use, filter FROM device_topics ORDER BY device, filter")
    return {device: _grants([row[1:] for row in group]) for device, group in groupby(rows, key=itemgetter(0))}


def _grants(rows: Sequence[Sequence[str]]) -> Grants | None:
    if not rows:
        return None
    return Grants(**{use: tuple(wanted for held, wanted in rows if held == use) for use in _USES})


def _without_rows(connection: sqlite3.Connection, name: str) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT name FROM devices WHERE name != ? AND name NOT IN (SELECT device FROM device_topics)", (name,)
    )
    return [(other, wanted) for (other,) in rows for wanted in native_grants(other).publish]


def place_device(connection: sqlite3.Connection, name: str, place: Place) -> None:
    """Say where a device stands; also one behind a gateway (`gate/soil-1`), once it has been heard.

    Raises:
        UnknownDevice: there is none of that name.
    """
    if "/" in name:
        known = connection.execute("SELECT 1 FROM heard_devices WHERE device = ?", (name,)).fetchone()
        if known is None:
            raise UnknownDevice(f"nothing was ever heard of '{name}'; `kit status` shows what is behind a gateway")
        connection.execute("REPLACE INTO part_places VALUES (?, ?, ?, ?)", (name, *place.as_row()))
    else:
        changed = connection.execute(
            "UPDATE devices SET place = ?, latitude = ?, longitude = ? WHERE name = ?", (*place.as_row(), name)
        ).rowcount
        if not changed:
            raise _unknown(connection, name)
    count_change(connection, CHANGED)


def places(connection: sqlite3.Connection) -> dict[str, Place]:
    """Where the devices stand, by name; those behind a gateway whose place nobody has said are not in it."""
    rows = connection.execute(
        "SELECT name, place, latitude, longitude FROM devices UNION ALL SELECT * FROM part_places"
    )
    return {name: Place(*place) for name, *place in rows}


def rotate_password(connection: sqlite3.Connection, name: str) -> Credentials:
    """Replace a device's password; the old one is refused at once, and a connection made with it is closed.

    Its sessions, and what waits in them, stay: it is the same device, which is why it keeps its salt.

    Raises:
        UnknownDevice: there is none of that name.
        UsageError: it has no password to replace.
    """
    row = connection.execute("SELECT salt, open FROM devices WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _unknown(connection, name)
    salt, is_open = row
    if is_open:
        raise UsageError(f"'{name}' signs in without a password, so there is none to replace; `kit device remove` it")
    import secrets

    password = secrets.token_urlsafe(PASSWORD_BYTES)
    connection.execute(
        "UPDATE devices SET hash = ?, client_id = NULL WHERE name = ?", (digest(salt, password.encode()), name)
    )
    count_change(connection, CHANGED)
    return Credentials(name, password)


def remove_device(connection: sqlite3.Connection, name: str) -> None:
    """Let a device in no more; the broker closes its connection within a second. Its readings stay.

    Raises:
        UnknownDevice: there is none of that name; the sentence names the nearest.
    """
    if not connection.execute("DELETE FROM devices WHERE name = ?", (name,)).rowcount:
        raise _unknown(connection, name)
    connection.execute("DELETE FROM device_topics WHERE device = ?", (name,))
    connection.execute("DELETE FROM part_places WHERE name > ? AND name < ?", (f"{name}/", f"{name}0"))
    forget(connection, name)
    count_change(connection, CHANGED)


def _unknown(connection: sqlite3.Connection, name: str) -> UnknownDevice:
    import difflib

    near = difflib.get_close_matches(name, [device.name for device in list_devices(connection)], n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "`kit device list` shows which there are"
    return UnknownDevice(f"there is no device named '{name}'; {hint}")


def list_devices(connection: sqlite3.Connection) -> list[Device]:
    """All devices by name."""
    rows = connection.execute(
        "SELECT name, kind, added_ms, base, place, latitude, longitude, open FROM devices ORDER BY name"
    )
    return [
        Device(name=row[0], kind=row[1], added_ms=row[2], base=row[3], place=Place(*row[4:7]), open=bool(row[7]))
        for row in rows
    ]


def digest(salt: bytes, password: bytes) -> bytes:
    """The salted hash of a password."""
    import hashlib  # brings OpenSSL, which most commands need not wait for

    return hashlib.sha256(salt + password).digest()
