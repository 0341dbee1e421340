"""Making a backup while the unit runs.

SQLite's own backup copies the store in one step, so it is one moment however busy the unit is (in many steps, each
commit of another process would start it anew), and writers go on meanwhile: in WAL mode a reader holds up nobody. The
copy is checked in full before it is sealed; the sealed file gets its name only when it is whole, read back and on the
disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.backup.archive import MANIFEST, SUFFIX, BackupError, Head, new_head, read_head, unpack, write_archive
from kit.backup.checking import check_store, table_rows
from kit.backup.recovery_code import SECRET_BYTES
from kit.backup.small_store import SMALL, write_small
from kit.home import Home, explain_home_error
from kit.identity import write_secret
from kit.store.ledger import flush_folder
from kit.store.table_list import keep_list, list_file

KEY_FILE = "backup.json"
"""Below `keys/`."""

ROOM_FACTOR = 2
"""The copy, and the sealed file: so many times the store must fit on the disk while a backup is made."""


@dataclass(frozen=True)
class Made:
    """A backup that was made and read back."""

    file: Path
    head: Head
    manifest: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """`{file, ok, unit, created_ms, bytes, store_bytes, migrations, rows, tables, files}`."""
        return {
            "file": str(self.file),
            "ok": True,
            "unit": self.head.unit,
            "created_ms": self.head.created_ms,
            "bytes": self.file.stat().st_size,
            "store_bytes": self.manifest["files"]["kit.db"]["bytes"],
            "migrations": self.manifest["migrations"],
            "epoch": self.manifest["epoch"],
            "rows": sum(self.manifest["tables"].values()),
            "tables": dict(self.manifest["tables"]),
            "files": sorted(self.manifest["files"]),
        }


def backup_secret(home: Home) -> bytes:
    """The secret that this unit's backups are sealed with; made on the first call.

    Raises:
        KitError: the key file is damaged, or cannot be written.
    """
    file = home.keys / KEY_FILE
    if not file.exists():
        write_secret(file, {"secret": secrets.token_bytes(SECRET_BYTES).hex()})
    try:
        return bytes.fromhex(json.loads(file.read_text())["secret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{file} is damaged; delete it, and print the new code: kit backup --show-code") from error


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write on the disk of `folder`."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def make_backup(home: Home, folder: Path, *, name: str, now_ms: int, room: Callable[[Path], int] = free_bytes) -> Made:
    """Make a backup of the unit in `folder`.

    Args:
        home: the unit.
        folder: made if it is missing.
        name: as people call the unit.
        now_ms: Unix ms.
        room: bytes free on a folder's disk.

    Raises:
        BackupError: it could not be made; nothing is left of it.
    """
    secret = backup_secret(home)
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(home, folder, room)
        with _working_folder(home) as work:
            store = work / "kit.db"
            _copy_store(home.database, store)
            members = {**_first_files(store), store.name: store, **_own_files(home)}
            manifest = _manifest(home, store, members)
            head = new_head(unit=str(manifest["unit"]), name=name, created_ms=now_ms, secret=secret)
            file = _free_name(folder, f"{head.unit}-{stamp}")
            _write(file, head, secret, {MANIFEST: json.dumps(manifest).encode()} | members)
    except (OSError, sqlite3.Error) as error:
        where = explain_home_error(folder, error) if isinstance(error, OSError) else str(error)
        raise BackupError(f"no backup was made: {where}") from error
    return Made(file, head, manifest)


def list_backups(folder: Path) -> list[tuple[Path, Head]]:
    """The backups in a folder, the newest first; what cannot be read is passed over."""
    found = []
    for file in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(BackupError):
            found.append((file, read_head(file)))
    return sorted(found, key=lambda each: (each[1].created_ms, each[0].name), reverse=True)


def keep_newest(folder: Path, count: int, *, unit: str) -> list[Path]:
    """Delete this unit's backups beyond the `count` newest; returns what was deleted."""
    old = [file for file, head in list_backups(folder) if head.unit == unit][max(1, count) :]
    for file in old:
        file.unlink(missing_ok=True)
    return old


def _check_room(home: Home, folder: Path, room: Callable[[Path], int]) -> None:
    needed = home.database.stat().st_size
    for place in {home.path, folder}:
        free = room(place)
        if free < ROOM_FACTOR * needed:
            raise BackupError(
                f"no backup was made: {place} has {free / 1e6:,.1f} MB free, and making one takes "
                f"{ROOM_FACTOR * needed / 1e6:,.1f} MB; delete old backups or uploads"
            )


@contextmanager
def _working_folder(home: Home) -> Iterator[Path]:
    """A folder of our own; one backup is made at a time, and what a killed one left behind goes."""
    home.spool.mkdir(exist_ok=True)
    with (home.spool / "backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = home.spool / "backup-in-work"
        _remove(work)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            _remove(work)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _copy_store(source: Path, target: Path) -> None:
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30.0)
    writing = sqlite3.connect(target)
    try:
        writing.execute("PRAGMA synchronous=OFF")  # it is read at once, and thrown away after a crash
        reading.backup(writing)
        # nothing is to be left beside the one file
        writing.execute("PRAGMA journal_mode=DELETE")
    finally:
        writing.close()
        reading.close()


def _manifest(home: Home, file: Path, members: Mapping[str, Path | bytes]) -> dict[str, Any]:
    from importlib.metadata import version

    check_store(file)
    connection = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
    try:
        tables = table_rows(connection)
        migrations = int(connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])
        row = connection.execute("SELECT origin, epoch, last_seq FROM unit_epoch").fetchone() or (None, 0, 0)
    finally:
        connection.close()
    return {
        "unit": row[0] or _unit_of_keys(home),
        "epoch": row[1],
        "last_seq": row[2],
        "version": version("village-kit"),
        "migrations": migrations,
        "tables": tables,
        "files": {each: _fingerprint(source) for each, source in members.items()},
    }


def _first_files(store: Path) -> dict[str, Path | bytes]:
    """What a unit with a damaged store reads, without the rest; see `kit.backup.small_store`."""
    small = store.with_name(SMALL)
    write_small(store, small)
    check_store(small)
    keep_list(store)
    return {SMALL: small, list_file(store).name: list_file(store)}


def _own_files(home: Home) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {}
    if home.settings_file.exists():
        files["kit.toml"] = home.settings_file.read_bytes()
    # first the one that says which keys are in use: at the end of a rotation the others are written, then it goes
    rotation_first = sorted(home.keys.glob("*.json"), key=lambda file: (file.name != "rotation.json", file.name))
    for file in rotation_first:
        with contextlib.suppress(FileNotFoundError):
            files[f"keys/{file.name}"] = file.read_bytes()
    return files


def _unit_of_keys(home: Home) -> str:
    try:
        return str(json.loads((home.keys / "unit.json").read_text())["unit"])
    except (OSError, ValueError, KeyError, TypeError):
        return "kit"


def _write(file: Path, head: Head, secret: bytes, members: Mapping[str, Path | bytes]) -> None:
    temporary = file.with_suffix(".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            write_archive(stream, head, secret, members)
            stream.flush()
            os.fsync(stream.fileno())
        unpack(temporary, secret, None)  # what cannot be read back now is no backup
        temporary.rename(file)
        flush_folder(file.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _free_name(folder: Path, stem: str) -> Path:
    names = (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
    return next(folder / f"{name}{SUFFIX}" for name in names if not (folder / f"{name}{SUFFIX}").exists())


def _fingerprint(source: Path | bytes) -> dict[str, Any]:
    if isinstance(source, bytes):
        return {"bytes": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return {"bytes": source.stat().st_size, "sha256": digest.hexdigest()}
