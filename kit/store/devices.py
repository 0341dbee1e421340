"""The devices that may sign in to the broker, and how their passwords are kept.

A device's password is not chosen by a person: it is 160 random bits, shown once. Nobody can try that many, so a single
salted SHA-256 keeps it as safe as a slow hash would, and a hundred devices that reconnect after a power cut sign in
within milliseconds (a slow hash took 146 ms each in another broker).
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from kit.errors import KitError, UsageError
from kit.store.database import Database
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
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device signs in with; the password exists nowhere else and is shown once."""

    username: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that may sign in.

    Attributes:
        kind: the dialect it speaks, "senml" for the kit's native one.
        added_ms: Unix ms.
    """

    name: str
    kind: str
    added_ms: int


class DuplicateDevice(KitError):  # noqa: N818 - says what is wrong
    """There is a device of that name already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is a device named '{name}' already; choose another name, "
            f"or `kit device remove {name}` first if its password is lost"
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


def add_device(connection: sqlite3.Connection, name: str, *, kind: str = "senml", now_ms: int) -> Credentials:
    """Let a device in from now on; no restart is needed.

    Raises:
        UsageError: the name cannot be used.
        DuplicateDevice: there is one of that name already.
    """
    check_name(name)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    salt = secrets.token_bytes(SALT_BYTES)
    row = (name, kind, salt, _digest(salt, password.encode()), now_ms)
    try:
        connection.execute("INSERT INTO devices VALUES (?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError:
        raise DuplicateDevice(name) from None
    return Credentials(name, password)


def remove_device(connection: sqlite3.Connection, name: str) -> None:
    """Let a device in no more; the broker closes its connection within a second. Its readings stay.

    Raises:
        UnknownDevice: there is none of that name; the sentence names the nearest.
    """
    if connection.execute("DELETE FROM devices WHERE name = ?", (name,)).rowcount:
        return
    near = difflib.get_close_matches(name, [device.name for device in list_devices(connection)], n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "`kit device list` shows which there are"
    raise UnknownDevice(f"there is no device named '{name}'; {hint}")


def list_devices(connection: sqlite3.Connection) -> list[Device]:
    """All devices by name."""
    rows = connection.execute("SELECT name, kind, added_ms FROM devices ORDER BY name")
    return [Device(name=name, kind=kind, added_ms=added_ms) for name, kind, added_ms in rows]


class DeviceUsers:
    """Implements `kit.broker.ports.Users`: devices from the table, services from their passwords.

    Reads the table at every sign-in, so a device is known as soon as it was added.

    Args:
        database: open, and used by nobody else while the broker serves.
        services: passwords of the unit's services by user name, see `kit.identity.load_or_create_service_passwords`.
    """

    def __init__(self, database: Database, *, services: Mapping[str, str]) -> None:
        self._database = database
        self._salt = secrets.token_bytes(SALT_BYTES)
        self._services = {name: _digest(self._salt, password.encode()) for name, password in services.items()}
        self._version: int | None = None
        self._marks: dict[str, str] = {}

    def sign_in(self, username: str, password: bytes) -> str | None:
        """The mark of the credentials, or None if they are wrong."""
        known = self._services.get(username)
        salt = self._salt
        if known is None:
            row = self._database.connection.execute(
                "SELECT salt, hash FROM devices WHERE name = ?", (username,)
            ).fetchone()
            salt, known = (row[0], row[1]) if row else (self._salt, b"")
        return known.hex() if hmac.compare_digest(_digest(salt, password), known) else None

    def marks(self) -> Mapping[str, str]:
        """The present mark of every user."""
        version = self._database.changed_elsewhere()
        if version != self._version:
            rows = self._database.connection.execute("SELECT name, hash FROM devices")
            self._marks = {name: digest.hex() for name, digest in rows}
            self._marks |= {name: digest.hex() for name, digest in self._services.items()}
            self._version = version
        return self._marks


def _digest(salt: bytes, password: bytes) -> bytes:
    return hashlib.sha256(salt + password).digest()
