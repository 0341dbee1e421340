"""Results of quizzes, and their digest for the city: nothing lost, nothing counted twice, and the radio not flooded.

Every attempt is kept in this app's own table. What is synced is a *digest* of all attempts of a lesson that no earlier
digest has counted; the attempts are marked as counted in the transaction that writes the record. The first attempt
after a quiet hour is told at once, in the same transaction as the result; thirty pupils of one class then become one
more record at the end of the hour instead of thirty. No digest names anybody: nobody is asked for a name here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kit.store.migrations import sql
from kit.store.records import write_record
from sync.protocol.records import Priority
from village_apps.learning.lesson import Lesson, mark

DIGEST_KIND = "quiz"

DIGEST_EVERY_MS = 3_600_000
"""At most one digest of a lesson per hour of kit time: about 90 bytes, one LoRa frame."""

MIGRATIONS = (
    sql(
        "learning",
        "0001_attempts",
        """
        CREATE TABLE learning_attempts (
            id INTEGER PRIMARY KEY,
            sheet TEXT NOT NULL UNIQUE,
            lesson TEXT NOT NULL,
            version INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            answers TEXT NOT NULL,
            marks TEXT NOT NULL,
            digest_ms INTEGER
        );
        CREATE INDEX learning_attempts_uncounted ON learning_attempts (lesson, version) WHERE digest_ms IS NULL;
        CREATE INDEX learning_attempts_digests ON learning_attempts (lesson, version, digest_ms)
        """,
    ),
)


def store_attempt(
    connection: sqlite3.Connection, lesson: Lesson, chosen: Sequence[int], *, sheet: str, at_ms: int
) -> bool:
    """Keep a finished quiz, inside the caller's transaction, and write the digest if one is due.

    Args:
        connection: in a transaction.
        lesson: the lesson whose questions were answered.
        chosen: the place of the chosen answer, question by question.
        sheet: names the sheet that was handed out; handing it in twice (a double tap, a reload) counts once.
        at_ms: Unix ms.

    Returns:
        Whether it was new.
    """
    marks = "".join("1" if right else "0" for right in mark(lesson, chosen))
    cursor = connection.execute(
        "INSERT INTO learning_attempts (sheet, lesson, version, at_ms, answers, marks) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (sheet) DO NOTHING",
        (sheet, lesson.key, lesson.version, at_ms, ",".join(str(place) for place in chosen), marks),
    )
    if cursor.rowcount:
        write_due_digests(connection, now_ms=at_ms)
    return bool(cursor.rowcount)


def write_due_digests(connection: sqlite3.Connection, *, now_ms: int) -> int:
    """Write a digest for every lesson that has uncounted attempts and had none for an hour; returns how many.

    Inside the caller's transaction.
    """
    # by the number of questions, too: whoever wrote a lesson may have forgotten to raise its version with them
    waiting = connection.execute(
        "SELECT lesson, version, length(marks) FROM learning_attempts WHERE digest_ms IS NULL GROUP BY 1, 2, 3"
    ).fetchall()
    due = [each for each in waiting if _is_due(connection, each[0], each[1], now_ms)]
    for lesson, version, questions in due:
        _write_digest(connection, lesson, version, questions, now_ms)
    return len(due)


def _is_due(connection: sqlite3.Connection, lesson: str, version: int, now_ms: int) -> bool:
    (last,) = connection.execute(
        "SELECT MAX(digest_ms) FROM learning_attempts WHERE lesson = ? AND version = ?", (lesson, version)
    ).fetchone()
    # a clock that was set back must not hold digests for years: a digest "from the future" counts as old
    return last is None or not 0 <= now_ms - last < DIGEST_EVERY_MS


def _write_digest(connection: sqlite3.Connection, lesson: str, version: int, questions: int, now_ms: int) -> None:
    import cbor2

    rows = connection.execute(
        "SELECT at_ms, marks FROM learning_attempts WHERE lesson = ? AND version = ? AND length(marks) = ? "
        "AND digest_ms IS NULL",
        (lesson, version, questions),
    ).fetchall()
    right = [sum(int(marks[place]) for _, marks in rows) for place in range(len(rows[0][1]))]
    body = {
        "lesson": lesson,
        "version": version,
        "since_ms": min(at_ms for at_ms, _ in rows),
        "until_ms": max(at_ms for at_ms, _ in rows),
        "attempts": len(rows),
        "questions": len(right),
        "mean_score": round(sum(right) / len(rows), 2),
        "right": right,
    }
    write_record(connection, kind=DIGEST_KIND, priority=Priority.SUMMARY, body=cbor2.dumps(body), created_ms=now_ms)
    connection.execute(
        "UPDATE learning_attempts SET digest_ms = ? WHERE lesson = ? AND version = ? AND length(marks) = ? "
        "AND digest_ms IS NULL",
        (now_ms, lesson, version, questions),
    )
