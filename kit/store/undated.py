"""The readings that were dated by a guess, until each has its true time.

`undated_readings` says of each when it was taken, in milliseconds since boot (`kit.store.undated_rows`). They are
moved some thousand at a time, and let go to the core in the order in which they were taken; `kit.store.boots` has the
boots and their offsets.
"""

from __future__ import annotations

import secrets
import sqlite3

from kit.clock import EARLIEST_BELIEVABLE_S
from kit.model.readings import Quality
from kit.store.boots import BootRow
from kit.store.ingest_state import save_token
from kit.store.packed_value import (
    DECIMAL_BITS,
    DECIMAL_MASK,
    KEY_BYTES,
    KEYS_AT_ONCE,
    QUALITY_SQL,
    VALUE_SQL,
    pack_keys,
    unpack_keys,
)
from kit.store.rollups import mark_late
from kit.store.undated_rows import NOT_YET, Noted, count_noted, join_small, pick, put_back

BELIEVABLE_MS = EARLIEST_BELIEVABLE_S * 1000

UNDATED_AT_MOST = 200_000
"""Of readings whose date is trusted and might yet be corrected; the oldest are then left as they are. 16 bytes each."""

SAME_FOR_AT_MOST_MS = 7 * 86_400_000
"""Nobody asks for how much longer a value has stood still; the longest limit of `kit.model.quantities` is 72 h."""

GUESSED = int(Quality.TIME_GUESSED | Quality.TIME_DOUBTFUL)


def move_readings(connection: sqlite3.Connection, row: BootRow, *, limit: int) -> int:
    """Move some of a boot's undated readings to where its offset puts them; returns how many were looked at."""
    up = connection.execute(
        "SELECT 1 FROM undated_readings WHERE boot = ? AND moved = 0 AND offset_ms < ? LIMIT 1",
        (row.number, row.offset_ms),
    ).fetchone()
    # away from where the others still are: nothing then stands in the way but readings that the device itself dated
    picked = pick(connection, row.number, "moved = 0", limit=limit, latest=up is not None)
    waiting = picked.taken
    placed: list[Noted] = []
    moved: list[tuple[int, int, int]] = []
    touched: set[int] = set()
    for noted in waiting:
        series, time_ms = noted.series, noted.time_ms
        to_ms, shifted = _free(connection, series, time_ms, noted.mono_ms + row.offset_ms)
        keep = ~GUESSED if row.known else ~int(Quality.TIME_DOUBTFUL) if to_ms >= BELIEVABLE_MS else -1
        if _move_one(connection, series, time_ms, to_ms, keep=keep, add=shifted):
            touched.add(series)
        placed.append(noted._replace(time_ms=to_ms, moved=1))
        if not noted.held and to_ms != time_ms:
            moved.append((to_ms, series, time_ms))
    put_back(connection, row.number, picked, placed)
    if moved:
        _move_unsynced(connection, moved)
    for series in touched:
        _renew_latest(connection, series)
    if touched:
        save_token(connection, secrets.token_bytes(8))  # whoever writes readings must forget what it remembers
    return len(waiting)


def release_readings(
    connection: sqlite3.Connection, row: BootRow, *, limit: int, before_mono_ms: int | None = None
) -> int:
    """Let the boot's readings leave for the core, in the order in which they were taken; returns how many.

    Args:
        connection: inside a transaction.
        row: the boot.
        limit: at most so many at once.
        before_mono_ms: only those older than this, whose time is still a guess: they have waited long enough.
    """
    picked = pick(
        connection,
        row.number,
        "held = 1 AND moved = 1" if before_mono_ms is None else "held = 1",
        limit=limit,
        before_mono_ms=NOT_YET if before_mono_ms is None else before_mono_ms,
    )
    rows = [(noted.series, noted.time_ms) for noted in picked.taken]
    connection.executemany(
        "INSERT INTO unsynced (arrived_ms, keys) VALUES (?, ?)",
        [
            (some[0][1], pack_keys([number for key in some for number in key]))
            for some in (rows[at : at + KEYS_AT_ONCE] for at in range(0, len(rows), KEYS_AT_ONCE))
        ],
    )
    put_back(connection, row.number, picked, [noted._replace(held=0) for noted in picked.taken])
    return len(rows)


def forget_undated(connection: sqlite3.Connection, row: BootRow) -> int:
    """Everything of that boot has its final time; returns how many were undated."""
    final = "boot = ? AND held = 0 AND moved = 1"
    count = count_noted(connection, final, (row.number,))
    connection.execute(f"DELETE FROM undated_readings WHERE {final}", (row.number,))  # noqa: S608 - as above
    return count


def bound_undated(connection: sqlite3.Connection, *, at_most: int = UNDATED_AT_MOST) -> int:
    """Keep the table small: the oldest whose time is trusted already stay as they are. Returns how many went.

    Whole rows go: to cut one a little shorter each second would cost the card more than the readings themselves.
    """
    join_small(connection)
    excess = count_noted(connection) - at_most
    if excess <= 0:
        return 0
    gone, rows = 0, []
    for number, size in connection.execute(
        "SELECT id, length(keys) FROM undated_readings WHERE held = 0 ORDER BY boot, last_mono_ms"
    ):
        rows.append((number,))
        gone += size // KEY_BYTES
        if gone >= excess:
            break
    connection.executemany("DELETE FROM undated_readings WHERE id = ?", rows)
    return gone


def count_undated(connection: sqlite3.Connection, boot: int, *, unmoved_only: bool = False) -> int:
    """How many readings of a boot may still move."""
    return count_noted(connection, "boot = ? AND (moved = 0 OR NOT ?)", (boot, unmoved_only))


def _free(connection: sqlite3.Connection, series: int, from_ms: int, to_ms: int) -> tuple[int, int]:
    """The wanted time or the first free one after it, and the flag that says so."""
    wanted = to_ms
    while to_ms != from_ms:
        held = connection.execute("SELECT 1 FROM readings WHERE series = ? AND time_ms = ?", (series, to_ms)).fetchone()
        if held is None:
            break
        to_ms += 1
    return to_ms, int(Quality.TIME_SHIFTED) if to_ms != wanted else 0


def _move_one(connection: sqlite3.Connection, series: int, from_ms: int, to_ms: int, *, keep: int, add: int) -> bool:
    """Whether that changed anything: most of what was dated by a trusted time is where it belongs."""
    code = {"keep": keep << DECIMAL_BITS | DECIMAL_MASK, "add": add << DECIMAL_BITS}
    changed = connection.execute(
        "UPDATE readings SET time_ms = :to, code = (code & :keep) | :add WHERE series = :series AND time_ms = :from "
        "AND (:to != :from OR code != (code & :keep) | :add)",
        {"series": series, "from": from_ms, "to": to_ms, **code},
    ).rowcount
    if not changed and to_ms == from_ms:
        return False
    for time_ms in (from_ms, to_ms):
        mark_late(connection, series, time_ms)
    if to_ms != from_ms:
        connection.execute(
            "UPDATE OR REPLACE raw_readings SET time_ms = ? WHERE series = ? AND time_ms = ?", (to_ms, series, from_ms)
        )
    return True


def _move_unsynced(connection: sqlite3.Connection, moved: list[tuple[int, int, int]]) -> None:
    """What waits for a batch is named by its time: rename it."""
    to = {(series, old_ms): new_ms for new_ms, series, old_ms in moved}
    for number, packed in connection.execute("SELECT id, keys FROM unsynced").fetchall():
        keys = unpack_keys(packed)
        if any(key in to for key in keys):
            renamed = [part for key in keys for part in (key[0], to.get(key, key[1]))]
            connection.execute("UPDATE unsynced SET keys = ? WHERE id = ?", (pack_keys(renamed), number))


def _renew_latest(connection: sqlite3.Connection, series: int) -> None:
    """The newest reading of a series anew, by the times as they are now."""
    newest = None
    for doubtful in (int(Quality.TIME_DOUBTFUL), 0):
        newest = (
            newest
            or connection.execute(
                f"SELECT time_ms, {VALUE_SQL}, {QUALITY_SQL} FROM readings WHERE series = ? AND code & ? = 0 "  # noqa: S608 - our constants
                "ORDER BY time_ms DESC LIMIT 1",
                (series, doubtful << DECIMAL_BITS),
            ).fetchone()
        )
    if newest is None:
        return
    oldest_ms = newest[0] - SAME_FOR_AT_MOST_MS
    differs = connection.execute(
        f"SELECT time_ms FROM readings WHERE series = ? AND time_ms < ? AND time_ms > ? AND {VALUE_SQL} != ? "  # noqa: S608 - as above
        "ORDER BY time_ms DESC LIMIT 1",
        (series, newest[0], oldest_ms, newest[1]),
    ).fetchone()
    since = connection.execute(
        "SELECT min(time_ms) FROM readings WHERE series = ? AND time_ms > ?",
        (series, differs[0] if differs else oldest_ms),
    ).fetchone()
    good = connection.execute(
        f"SELECT time_ms, {VALUE_SQL} FROM readings WHERE series = ? AND time_ms <= ? AND code & ? = 0 "  # noqa: S608 - as above
        "ORDER BY time_ms DESC LIMIT 1",
        (series, newest[0], int(Quality.IMPOSSIBLE) << DECIMAL_BITS),
    ).fetchone() or (None, None)
    connection.execute(
        "UPDATE latest_readings SET time_ms = ?, value = ?, quality = ?, same_since_ms = ?, good_ms = ?, "
        "good_value = ? WHERE series = ?",
        (newest[0], newest[1], newest[2], since[0], good[0], good[1], series),
    )
