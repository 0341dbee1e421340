"""Who comes in at the broker's door, looked up in the store."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from kit.broker.ports import Claim, Mark, Pass
from kit.model.grants import Grants, native_grants
from kit.store.database import Database
from kit.store.devices import SALT_BYTES, all_grants, digest, grants_of


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
        self._services = {name: digest(self._salt, password.encode()) for name, password in services.items()}
        self._version: int | None = None
        self._marks: dict[str, Mark] = {}

    def sign_in(self, claim: Claim) -> Pass | None:
        """The device's pass, or None if its credentials are wrong."""
        if claim.username is None or claim.password is None:
            return None
        known, salt, grants = self._services.get(claim.username), self._salt, None
        if known is None:
            row = self._database.connection.execute(
                "SELECT salt, hash FROM devices WHERE name = ? AND NOT open", (claim.username,)
            ).fetchone()
            salt, known = (row[0], row[1]) if row else (self._salt, b"")
            grants = grants_of(self._database.connection, claim.username) if row else None
        if not hmac.compare_digest(digest(salt, claim.password), known):
            return None
        return Pass(claim.username, _mark(salt, known, grants), grants)

    def marks(self) -> Mapping[str, Mark]:
        """The present mark of every user."""
        version = self._database.changed_elsewhere()
        if version != self._version:
            connection = self._database.connection
            grants = all_grants(connection)
            rows = connection.execute("SELECT name, salt, hash FROM devices")
            self._marks = {
                name: _mark(salt, known, grants.get(name) or native_grants(name)) for name, salt, known in rows
            }
            self._marks |= {name: _mark(self._salt, known, None) for name, known in self._services.items()}
            self._version = version
        return self._marks


def _mark(salt: bytes, known: bytes, grants: Grants | None) -> Mark:
    """A device keeps its salt for as long as it is the same device; see `kit.store.devices.rotate_password`."""
    granted = "" if grants is None else hashlib.sha256(repr(grants).encode()).hexdigest()
    return Mark(salt.hex() + granted, known.hex())
