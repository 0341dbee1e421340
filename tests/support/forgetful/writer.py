"""Commits rows to an SQLite file and says so, until killed (`writer.py FILE SYNCHRONOUS`)."""

from __future__ import annotations

import sqlite3
import sys


def main(file: str, synchronous: str) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS kept (number INTEGER PRIMARY KEY, filler BLOB)")
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM kept").fetchone()
    while True:
        number += 1
        connection.execute("INSERT INTO kept VALUES (?, randomblob(300))", (number,))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
