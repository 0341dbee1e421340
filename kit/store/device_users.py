"""Who comes in at the broker's door, looked up in the store."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections import deque
from collections.abc import Mapping

from kit.broker.ports import Claim, Mark, Pass
from kit.clock import Clock
from kit.model.grants import Grants, native_grants
from kit.model.join_code import read_code
from kit.store.database import Database
from kit.store.devices import CHANGED as DEVICES_CHANGED
from kit.store.devices import SALT_BYTES, all_grants, digest, grants_of
from kit.store.facts import change_versions
from kit.store.joining import CHANGED as WAITING_CHANGED
from kit.store.joining import PREFIX, use_code, wait_openly

QUARANTINE = Grants(hear=("#",))
"""Of a device that waits for a person: the kit hears it, and nobody else does; it reads nothing."""

GUESSES_OF_ONE, GUESSES_OF_ALL = 5, 50
"""Wrong join codes from one address, and from all together, before no code is taken any more."""

GUESSES_FORGOTTEN_S = 600.0


class DeviceUsers:
    """Implements `kit.broker.ports.Users`: devices from the table, services from their passwords.

    Reads the table at every sign-in, so a device is known as soon as it was added.

    Args:
        database: open, and used by nobody else while the broker serves.
        services: passwords of the unit's services by user name, see `kit.identity.load_or_create_service_passwords`.
        clock: says whether a join code is still good; None = nobody can join.
    """

    def __init__(self, database: Database, *, services: Mapping[str, str], clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock
        self._guesses = Guesses()
        self._salt = secrets.token_bytes(SALT_BYTES)
        self._services = {name: digest(self._salt, password.encode()) for name, password in services.items()}
        self._seen: int | None = None
        self._versions: tuple[int, ...] | None = None
        self._marks: dict[str, Mark] = {}

    def sign_in(self, claim: Claim) -> Pass | None:
        """The client's pass, or None if its credentials are wrong."""
        if claim.open:
            return self._come_in_openly(claim)
        if claim.username is None or claim.password is None:
            return None
        return self._known(claim.username, claim.password) or self._joined(claim) or self._joining(claim)

    def marks(self) -> Mapping[str, Mark]:
        """The present mark of every user."""
        seen = self._database.changed_elsewhere()
        if seen == self._seen:
            return self._marks
        # every stored reading comes this far; what users may do is looked up only when that has changed
        connection = self._database.connection
        versions = change_versions(connection, (DEVICES_CHANGED, WAITING_CHANGED))
        if versions != self._versions:
            grants = all_grants(connection)
            rows = connection.execute("SELECT name, salt, hash FROM devices")
            self._marks = {
                name: _mark(salt, known, grants.get(name) or native_grants(name)) for name, salt, known in rows
            }
            self._marks |= {name: _mark(self._salt, known, None) for name, known in self._services.items()}
            if self._clock is not None:
                rows = connection.execute("SELECT id, salt, hash FROM waiting")
                self._marks |= {f"{PREFIX}{number}": _mark(salt, known, QUARANTINE) for number, salt, known in rows}
            self._versions = versions
        self._seen = seen
        return self._marks

    def _known(self, username: str, password: bytes) -> Pass | None:
        """A service, or a device under its own name."""
        known, salt, grants = self._services.get(username), self._salt, None
        if known is None:
            row = self._database.connection.execute(
                "SELECT salt, hash FROM devices WHERE name = ? AND NOT open AND client_id IS NULL", (username,)
            ).fetchone()
            salt, known = (row[0], row[1]) if row else (self._salt, b"")
            grants = grants_of(self._database.connection, username) if row else None
        if not hmac.compare_digest(digest(salt, password), known):
            return None
        return Pass(username, _mark(salt, known, grants), grants)

    def _joined(self, claim: Claim) -> Pass | None:
        """A device that came with a join code, accepted or still waiting; it calls itself whatever it likes."""
        code = _code(claim)
        if self._clock is None or code is None:
            return None
        connection = self._database.connection
        for name, salt, known in connection.execute(
            "SELECT name, salt, hash FROM devices WHERE client_id = ? AND NOT open", (claim.client_id,)
        ).fetchall():
            if hmac.compare_digest(digest(salt, code), known):
                grants = grants_of(connection, name)
                return Pass(name, _mark(salt, known, grants), grants)
        for number, salt, known in connection.execute(
            "SELECT id, salt, hash FROM waiting WHERE client_id = ? AND NOT open", (claim.client_id,)
        ).fetchall():
            if hmac.compare_digest(digest(salt, code), known):
                return Pass(f"{PREFIX}{number}", _mark(salt, known, QUARANTINE), QUARANTINE)
        return None

    def _joining(self, claim: Claim) -> Pass | None:
        """A device that presents a code for the first time."""
        code = _code(claim)
        if self._clock is None or code is None:
            return None
        if not self._guesses.may_try(claim.address, self._clock.monotonic()):
            return None
        with self._database.atomic() as connection:
            number = use_code(
                connection, code.decode(), client_id=claim.client_id, address=claim.address, now_ms=self._now_ms()
            )
            if number is not None:
                return self._waiting(connection, number)
        self._guesses.missed(claim.address, self._clock.monotonic())
        return None

    def _come_in_openly(self, claim: Claim) -> Pass | None:
        """A device that cannot use a password, by its client id alone."""
        if self._clock is None or not claim.client_id:
            return None
        connection = self._database.connection
        row = connection.execute(
            "SELECT name, salt, hash FROM devices WHERE client_id = ? AND open", (claim.client_id,)
        ).fetchone()
        if row is not None:
            grants = grants_of(connection, row[0])
            return Pass(row[0], _mark(row[1], row[2], grants), grants)
        row = connection.execute("SELECT id FROM waiting WHERE client_id = ? AND open", (claim.client_id,)).fetchone()
        if row is not None:
            return self._waiting(connection, row[0])
        with self._database.atomic() as writing:
            number = wait_openly(writing, client_id=claim.client_id, address=claim.address, now_ms=self._now_ms())
            return None if number is None else self._waiting(writing, number)

    def _waiting(self, connection: sqlite3.Connection, number: int) -> Pass:
        salt, known = connection.execute("SELECT salt, hash FROM waiting WHERE id = ?", (number,)).fetchone()
        return Pass(f"{PREFIX}{number}", _mark(salt, known, QUARANTINE), QUARANTINE)

    def _now_ms(self) -> int:
        return 0 if self._clock is None else int(self._clock.now() * 1000)


class Guesses:
    """Wrong join codes of the last minutes; from a certain number on even the right one is not taken."""

    def __init__(self) -> None:
        self._missed: deque[tuple[float, str]] = deque()

    def may_try(self, address: str, now_s: float) -> bool:
        """Whether a code from there is looked at."""
        while self._missed and now_s - self._missed[0][0] > GUESSES_FORGOTTEN_S:
            self._missed.popleft()
        own = sum(1 for _, missed in self._missed if missed == address)
        return own < GUESSES_OF_ONE and len(self._missed) < GUESSES_OF_ALL

    def missed(self, address: str, now_s: float) -> None:
        """A wrong one came from there."""
        self._missed.append((now_s, address))


def _code(claim: Claim) -> bytes | None:
    code = read_code((claim.password or b"").decode("utf-8", "replace"))
    return None if code is None else code.encode()


def _mark(salt: bytes, known: bytes, grants: Grants | None) -> Mark:
    """A device keeps its salt for as long as it is the same device; see `kit.store.devices.rotate_password`."""
    granted = "" if grants is None else hashlib.sha256(repr(grants).encode()).hexdigest()
    return Mark(salt.hex() + granted, known.hex())
