"""The unit's name and keys, made on first start and never shared with another unit (ETSI EN 303 645, 5.1 and 5.4).

Files below `keys/`, each 0600 and written whole or not at all:

- `unit.json`: the unit's id and its X25519 private key (RFC 7748), from which link keys are agreed at enrolment;
- `curve.json`: the CurveZMQ key pair of the cellular link;
- `rotation.json`: while both of these are being renewed, the old pairs and the new ones (`sync.rotation`);
- `technician.json`: the scrypt hash (RFC 7914) of the technician's password;
- `signing.json`: on a city core, the Ed25519 key (RFC 8032) that signs what it says to all of its kits;
- `services.json`: the passwords with which the unit's own services sign in to the broker.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.home import Home, explain_home_error, write_private

PASSWORD_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105 - what passwords are made of, not one
"""Without the letters and digits that are misread on a small screen: i l o 0 1."""

SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
"""16 MiB and about 50 ms on a Raspberry Pi 4: slow for a thief, bearable for a technician."""

SERVICES = ("kit-collect", "kit-replay")
"""The unit's own processes that sign in to the broker."""


@dataclass(frozen=True)
class Identity:
    """Who this unit is.

    Attributes:
        unit: the id written into records, for example `kit-7gq2mzk4`; derived from the public key.
        exchange_private: X25519 private key, 32 bytes.
        exchange_public: X25519 public key, 32 bytes.
    """

    unit: str
    exchange_private: bytes
    exchange_public: bytes


@dataclass(frozen=True)
class CurveKeys:
    """A CurveZMQ key pair in Z85, as pyzmq wants it."""

    public: bytes
    secret: bytes


def unit_id(exchange_public: bytes, *, role: str = "kit") -> str:
    """`kit-` or `core-` and 40 bits of the first public key's SHA-256 in lower-case base32; it outlives that key."""
    return f"{role}-" + base64.b32encode(hashlib.sha256(exchange_public).digest()[:5]).decode().lower()


def load_or_create_identity(home: Home, *, role: str = "kit") -> Identity:
    """The unit's identity; made on the first call.

    Raises:
        KitError: the key file is damaged, or the home cannot be written.
    """
    told = _load(home.keys / "unit.json")
    if told is None:
        told = _make_identity(role)
        write_secret(home.keys / "unit.json", told)
    try:
        return Identity(told["unit"], bytes.fromhex(told["exchange_private"]), bytes.fromhex(told["exchange_public"]))
    except (KeyError, ValueError, TypeError) as error:
        raise KitError(f"{home.keys / 'unit.json'} is damaged; restore it from a backup of keys/") from error


def load_or_create_curve_keys(home: Home) -> CurveKeys:
    """The key pair of the cellular link; made on the first call."""
    told = _load(home.keys / "curve.json")
    if told is None:
        import zmq

        public, secret = zmq.curve_keypair()
        told = {"public": public.decode(), "secret": secret.decode()}
        write_secret(home.keys / "curve.json", told)
    return CurveKeys(told["public"].encode(), told["secret"].encode())


def load_or_create_signing_key(home: Home) -> bytes:
    """The Ed25519 private key, 32 bytes, with which a core signs its broadcasts; made on the first call.

    Raises:
        KitError: the key file is damaged, or the home cannot be written.
    """
    file = home.keys / "signing.json"
    told = _load(file)
    if told is None:
        told = {"ed25519_private": secrets.token_bytes(32).hex()}
        write_secret(file, told)
    try:
        private = bytes.fromhex(told["ed25519_private"])
    except (KeyError, ValueError, TypeError):
        private = b""
    if len(private) != 32:  # noqa: PLR2004 - Ed25519
        raise KitError(f"{file} is damaged; restore it from a backup of keys/")
    return private


def load_or_create_service_passwords(home: Home) -> dict[str, str]:
    """The broker passwords of the unit's own services, by user name; made on the first call."""
    told = _load(home.keys / "services.json")
    if told is None or any(name not in told for name in SERVICES):
        told = {name: secrets.token_urlsafe(24) for name in SERVICES} | (told or {})
        write_secret(home.keys / "services.json", told)
    return {str(name): str(password) for name, password in told.items()}


def create_technician_password(home: Home) -> str | None:
    """Make the one-time technician password on first start and return it to be shown once; None if there is one."""
    file = home.keys / "technician.json"
    if file.exists():
        return None
    password = "-".join("".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(4)) for _ in range(3))
    set_technician_password(home, password, must_change=True)
    return password


def set_technician_password(home: Home, password: str, *, must_change: bool = False) -> None:
    """Replace the technician's password; `must_change` marks a one-time one."""
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)
    write_secret(
        home.keys / "technician.json",
        {"salt": salt.hex(), "scrypt": digest.hex(), "must_change": must_change},
    )


def check_technician_password(home: Home, password: str) -> tuple[bool, bool]:
    """Whether the password is right, and whether it must be changed before anything else."""
    told = _load(home.keys / "technician.json") or {}
    if "salt" not in told:
        return False, False
    digest = hashlib.scrypt(password.encode(), salt=bytes.fromhex(told["salt"]), **SCRYPT)
    return hmac.compare_digest(digest.hex(), told["scrypt"]), bool(told.get("must_change"))


def write_secret(file: Path, value: dict[str, Any]) -> None:
    """Write JSON readable by the owner only, whole or not at all, and on disk when this returns."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, json.dumps(value).encode())
    except OSError as error:
        raise KitError(explain_home_error(file.parent, error)) from error


def _load(file: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KitError(f"{file} cannot be read ({error}); restore it from a backup of keys/") from error
    return told if isinstance(told, dict) else None


def _make_identity(role: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return {
        "unit": unit_id(public, role=role),
        "exchange_private": private.private_bytes_raw().hex(),
        "exchange_public": public.hex(),
    }
