"""A kit's new keys, the kit's side: both pairs are kept until the core has answered under the new one.

The kit draws a new X25519 and a new CURVE pair and writes a record with their public halves, which goes to the core
like any other, sealed under the old keys. The core keeps them beside the old ones and answers with a record of its own.
Only that answer makes the kit speak under the new keys; only an answer of the core under them makes it forget the old
ones. Its id stays.

Invariants
- Each step is one file written whole or not at all: a kit killed between two of them goes on with the next.
- While `keys/rotation.json` is there, it says which pair is in use; `unit.json` and `curve.json` follow at the end.
  Once `unit.json` has the new key nothing is left to decide; a file that speaks of neither of its keys is an old copy.
- Whichever pair the core knows while it is there, after a backup was restored on either side, is one of the two that
  the kit has, and it tries both (`sync.turns`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.home import Home
from kit.identity import CurveKeys, Identity, load_or_create_curve_keys, load_or_create_identity, write_secret
from kit.model.new_key import KIND, new_key_body
from kit.store.database import Database
from kit.store.from_core import knows_key
from kit.store.records import storing, write_record
from sync.protocol.records import Priority, RecordId

FILE = "rotation.json"
"""Below `keys/`."""

Write = Callable[[Path, dict[str, Any]], None]


class Stage(StrEnum):
    """How far it has come; between rotations there is no file."""

    OFFERED = "offered"
    SWITCHED = "switched"


@dataclass(frozen=True)
class Pair:
    """A unit's keys for its core. The X25519 halves as hex, the CURVE ones in Z85."""

    exchange_private: str
    exchange_public: str
    curve_public: str
    curve_secret: str

    @property
    def curve(self) -> CurveKeys:
        """As the cellular link wants them."""
        return CurveKeys(self.curve_public.encode(), self.curve_secret.encode())

    def identity(self, unit: str) -> Identity:
        """As sessions want them."""
        return Identity(unit, bytes.fromhex(self.exchange_private), bytes.fromhex(self.exchange_public))


@dataclass(frozen=True)
class Rotation:
    """One that is under way.

    Attributes:
        stage: how far it has come.
        old: the keys of before.
        new: the keys of afterwards.
        offer: how often the core was told of them: an answer to an earlier time is none, it was set back since then.
        told: the record that tells of them (origin, epoch, seq); empty = it is not known to be written.
        core: the core that was told.
        since_ms: when the stage began, Unix ms by the kit's clock.
    """

    stage: Stage
    old: Pair
    new: Pair
    offer: int = 1
    told: tuple[str, int, int] | tuple[()] = ()
    core: str = ""
    since_ms: int = 0

    @property
    def in_use(self) -> Pair:
        """Under which we speak."""
        return self.old if self.stage is Stage.OFFERED else self.new

    @property
    def other(self) -> Pair:
        """The other one."""
        return self.new if self.stage is Stage.OFFERED else self.old


@dataclass(frozen=True)
class KeysInUse:
    """Under which keys a unit speaks to its core now.

    Attributes:
        identity: its id and X25519 pair.
        curve: its CURVE pair.
        other: the X25519 private key of the other pair, while there are two.
        stage: of the rotation, while there is one.
    """

    identity: Identity
    curve: CurveKeys
    other: bytes = b""
    stage: Stage | None = None


def read_rotation(home: Home) -> Rotation | None:
    """What is under way, as it is written; see `rotation_of`.

    Raises:
        KitError: the file is damaged.
    """
    file = home.keys / FILE
    try:
        told = json.loads(file.read_text())
        return Rotation(
            stage=Stage(told["stage"]),
            old=Pair(**told["old"]),
            new=Pair(**told["new"]),
            offer=int(told["offer"]),
            told=tuple(told["told"]),
            core=str(told["core"]),
            since_ms=int(told["since_ms"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{file} cannot be read ({error}); restore it from a backup of keys/") from error


def keys_in_use(home: Home, *, silent_in: Stage | None = None, write: Write = write_secret) -> KeysInUse:
    """Under which keys this unit speaks to its core now.

    Args:
        home: the kit's.
        silent_in: if that is still the stage, the other pair is tried: the core was silent under the one in use.
        write: how a file is written.
    """
    with _locked(home):
        rotation, identity = _rotation_of(home, write), load_or_create_identity(home)
        if rotation is None:
            return KeysInUse(identity, load_or_create_curve_keys(home))
    pair, other = rotation.in_use, rotation.other
    if rotation.stage is silent_in:
        pair, other = other, pair
    return KeysInUse(pair.identity(identity.unit), pair.curve, bytes.fromhex(other.exchange_private), rotation.stage)


def begin(home: Home, *, core: str, now_ms: int, write: Write = write_secret) -> tuple[Rotation, bool]:
    """Draw new keys, unless a rotation is under way; `advance` does the rest.

    Args:
        home: the kit's.
        core: the core's unit id.
        now_ms: Unix ms.
        write: how a file is written.

    Returns:
        The rotation, and whether it was begun just now.
    """
    with _locked(home):
        known = _rotation_of(home, write)
        if known is not None:
            return known, False
        identity, curve = load_or_create_identity(home), load_or_create_curve_keys(home)
        old = Pair(
            identity.exchange_private.hex(),
            identity.exchange_public.hex(),
            curve.public.decode(),
            curve.secret.decode(),
        )
        rotation = Rotation(Stage.OFFERED, old, _drawn(), core=core, since_ms=now_ms)
        _keep(home, rotation, write)
        return rotation, True


def advance(home: Home, database: Database, *, core: str, now_ms: int, write: Write = write_secret) -> None:
    """Do the next step if it is time to: tell the core, or use the new keys because it has answered.

    Args:
        home: the kit's.
        database: its store.
        core: the core's unit id: nobody else's answer counts.
        now_ms: Unix ms.
        write: how a file is written.
    """
    with _locked(home):
        rotation = _rotation_of(home, write)
        if rotation is not None and rotation.core != core:  # the kit has joined another core meanwhile
            rotation = _offered_anew(rotation, core=core, now_ms=now_ms)
            _keep(home, rotation, write)
        if rotation is None or rotation.stage is not Stage.OFFERED:
            return
        new = bytes.fromhex(rotation.new.exchange_public)
        if knows_key(database.connection, core, new, offer=rotation.offer):
            _keep(home, replace(rotation, stage=Stage.SWITCHED, since_ms=now_ms), write)
        elif not _is_told(database.connection, rotation):
            _keep(home, replace(rotation, told=_tell(database, rotation, now_ms=now_ms)), write)


def heard(home: Home, exchange_public: bytes, *, now_ms: int, write: Write = write_secret) -> None:
    """The core has answered what we said under that key of ours: that is the one it knows.

    Args:
        home: the kit's.
        exchange_public: ours.
        now_ms: Unix ms.
        write: how a file is written.
    """
    with _locked(home):
        rotation = _rotation_of(home, write)
        if rotation is None:
            return
        if exchange_public.hex() == rotation.new.exchange_public:
            if rotation.stage is Stage.OFFERED:  # we were set back to a backup: it has known them for long
                rotation = replace(rotation, stage=Stage.SWITCHED, since_ms=now_ms)
                _keep(home, rotation, write)
            _forget_old(home, rotation, write)
        elif rotation.stage is Stage.SWITCHED:  # it was set back to a backup, and is told anew
            _keep(home, _offered_anew(rotation, core=rotation.core, now_ms=now_ms), write)


def carried(home: Home, exchange_private: bytes, *, now_ms: int, write: Write = write_secret) -> None:
    """A bundle of the core's was opened with that key of ours. One under the old key says nothing: it may be old, too.

    Args:
        home: the kit's.
        exchange_private: ours.
        now_ms: Unix ms.
        write: how a file is written.
    """
    rotation = read_rotation(home)
    if rotation is not None and exchange_private.hex() == rotation.new.exchange_private:
        heard(home, bytes.fromhex(rotation.new.exchange_public), now_ms=now_ms, write=write)


def make_anew(home: Home, unit: str, *, write: Write = write_secret) -> None:
    """New keys under an id whose keys are lost; the core must be told by its operator (`kit core invite NAME --unit`).

    Args:
        home: the kit's.
        unit: its id, as its store knows it.
        write: how a file is written.
    """
    drawn = _drawn()
    with _locked(home):
        (home.keys / FILE).unlink(missing_ok=True)
        write(home.keys / "curve.json", {"public": drawn.curve_public, "secret": drawn.curve_secret})
        write(home.keys / "unit.json", _unit_file(unit, drawn))


def _unit_file(unit: str, pair: Pair) -> dict[str, Any]:
    return {"unit": unit, "exchange_private": pair.exchange_private, "exchange_public": pair.exchange_public}


def _rotation_of(home: Home, write: Write) -> Rotation | None:
    """What is under way. Of a rotation that was killed at its last steps these are made up for; an old copy goes."""
    rotation = read_rotation(home)
    if rotation is None:
        return None
    public = load_or_create_identity(home).exchange_public.hex()
    if public == rotation.new.exchange_public:  # killed after `unit.json`, or the file came back with a backup
        _forget_old(home, rotation, write)
        return None
    if public != rotation.old.exchange_public:
        (home.keys / FILE).unlink(missing_ok=True)
        return None
    return rotation


def _offered_anew(rotation: Rotation, *, core: str, now_ms: int) -> Rotation:
    return replace(rotation, stage=Stage.OFFERED, offer=rotation.offer + 1, told=(), core=core, since_ms=now_ms)


def _forget_old(home: Home, rotation: Rotation, write: Write) -> None:
    new = rotation.new
    write(home.keys / "unit.json", _unit_file(load_or_create_identity(home).unit, new))
    write(home.keys / "curve.json", {"public": new.curve_public, "secret": new.curve_secret})
    (home.keys / FILE).unlink(missing_ok=True)


def _is_told(connection: sqlite3.Connection, rotation: Rotation) -> bool:
    """Whether the record is in the store: a store that was restored from a backup may lack it."""
    if not rotation.told:
        return False
    found = connection.execute("SELECT 1 FROM records WHERE origin = ? AND epoch = ? AND seq = ?", rotation.told)
    return found.fetchone() is not None


def _tell(database: Database, rotation: Rotation, *, now_ms: int) -> RecordId:
    """Write the record, or find the one that was written before this was noted."""
    from zmq.utils import z85

    exchange, curve = bytes.fromhex(rotation.new.exchange_public), z85.decode(rotation.new.curve_public)
    body = new_key_body(exchange, curve, rotation.offer)
    with storing(), database.atomic() as connection:
        row = connection.execute(
            "SELECT origin, epoch, seq FROM records WHERE kind = ? AND body = ? AND taken_ms IS NULL", (KIND, body)
        ).fetchone()
        if row is not None:
            return RecordId(*row)
        return write_record(connection, kind=KIND, priority=Priority.RECEIPT, body=body, created_ms=now_ms)


def _keep(home: Home, rotation: Rotation, write: Write) -> None:
    write(home.keys / FILE, asdict(rotation) | {"stage": rotation.stage.value})


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    """One at a time: the sync service, its watcher, a command and a stick may all want the next step."""
    if not home.keys.is_dir():
        yield
        return
    descriptor = os.open(home.keys / "rotation.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _drawn() -> Pair:
    import zmq
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private = X25519PrivateKey.generate()
    public, secret = zmq.curve_keypair()
    return Pair(
        private.private_bytes_raw().hex(),
        private.public_key().public_bytes_raw().hex(),
        public.decode(),
        secret.decode(),
    )
