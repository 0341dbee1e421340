"""A copy of the store's list of tables, beside the store: which table begins at which page.

All of a store hangs on one list, `sqlite_schema`: its first page and a few below that. Where one of these is spoiled,
everything else is still there and nobody knows where. So the list is kept a second time, in a small file with a
checksum, which the care service writes anew whenever SQLite says that the list has changed (`PRAGMA schema_version`;
VACUUM, which moves tables, changes it too). It is read through SQLite, never from the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kit.store.disk_room import HeldRoom
from kit.store.ledger import flush_folder

SUFFIX = ".tables"
FORMAT = 1


class Entry(NamedTuple):
    """A row of `sqlite_schema`."""

    type: str
    name: str
    table: str
    root: int
    sql: str | None


@dataclass(frozen=True)
class TableList:
    """The list as it was.

    Attributes:
        version: SQLite's number of this list.
        page_bytes: of the store.
    """

    version: int
    page_bytes: int
    entries: tuple[Entry, ...]

    def roots(self) -> dict[str, int]:
        """The first page of each table."""
        return {entry.name: entry.root for entry in self.entries if entry.type == "table" and entry.root}


def list_file(store: Path) -> Path:
    """Where the copy of a store's list is."""
    return store.with_suffix(SUFFIX)


def read_list(connection: sqlite3.Connection) -> TableList:
    """The list of an open store.

    Raises:
        sqlite3.DatabaseError: it cannot be read.
    """
    (version,) = connection.execute("PRAGMA main.schema_version").fetchone()
    (page_bytes,) = connection.execute("PRAGMA main.page_size").fetchone()
    # room that is held in the store comes and goes, and holds nothing that anybody would miss
    rows = connection.execute(
        "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema WHERE name <> ?", (HeldRoom.TABLE,)
    ).fetchall()
    return TableList(int(version), int(page_bytes), tuple(Entry(*row) for row in rows))


def keep_list(store: Path) -> bool:
    """Write the copy if the list has changed since; whether it was written.

    Raises:
        sqlite3.Error: the store cannot be read; the copy that is there stays.
        OSError: the copy cannot be written; the one that is there stays.
    """
    kept = load_list(list_file(store))
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
    try:
        connection.execute("BEGIN")  # version and rows of one moment
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        if kept is not None and kept.version == version:
            return False
        found = read_list(connection)
    finally:
        connection.close()
    if not found.entries:
        return False
    _write(list_file(store), found)
    return True


def load_list(file: Path) -> TableList | None:
    """The copy; None where there is none, or it is damaged itself."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        content = told["content"]
        if told["format"] != FORMAT or told["sha256"] != _fingerprint(content):
            return None
        entries = tuple(Entry(*row) for row in content["entries"])
        return TableList(int(content["version"]), int(content["page_bytes"]), entries)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, found: TableList) -> None:
    content = {
        "version": found.version,
        "page_bytes": found.page_bytes,
        "entries": [list(row) for row in found.entries],
    }
    text = json.dumps({"format": FORMAT, "sha256": _fingerprint(content), "content": content})
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(file)
        flush_folder(file.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def bare(listed: TableList) -> TableList:
    """The tables alone, without indexes, constraints and triggers, of which SQLite would want to know where they begin.

    What remains is what it needs to read rows: names, kinds, keys and what stands in for a missing value.
    """
    entries = []
    scratch = sqlite3.connect(":memory:")
    try:
        for entry in listed.entries:
            if entry.type == "table" and entry.root and entry.sql and not entry.name.startswith("sqlite_"):
                scratch.execute(entry.sql)
                entries.append(entry._replace(sql=_bare_definition(scratch, entry)))
    finally:
        scratch.close()
    return TableList(listed.version, listed.page_bytes, tuple(entries))


def is_keyed(sql: str | None) -> bool:
    """Whether a table of that definition has no row ids."""
    return "WITHOUT ROWID" in str(sql).upper()


def _bare_definition(connection: sqlite3.Connection, entry: Entry) -> str:
    rows = connection.execute(f'PRAGMA table_info("{entry.name}")').fetchall()
    key = [row for row in sorted(rows, key=lambda row: int(row[5])) if row[5]]
    keyed = is_keyed(entry.sql)
    parts = []
    for _, name, kind, _, default, place in rows:
        whole = not keyed and len(key) == 1 and place and str(kind).upper() == "INTEGER"
        parts.append(f'"{name}" {kind}{" PRIMARY KEY" if whole else ""}{f" DEFAULT {default}" if default else ""}')
    if keyed:
        parts.append(f"PRIMARY KEY ({', '.join(quoted(row[1]) for row in key)})")
    return f"CREATE TABLE {quoted(entry.name)} ({', '.join(parts)}){' WITHOUT ROWID' if keyed else ''}"


def quoted(name: object) -> str:
    """A name as SQL wants it."""
    return f'"{name}"'
