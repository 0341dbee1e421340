"""What was taken undated is remembered across an update of the kit, for an hour, and within bounds."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from kit.model.messages import Published
from kit.store import ingest_state
from kit.store.database import Database
from kit.store.ingest_state import (
    DIGEST_BYTES,
    REPEAT_WITHIN_MS,
    forget_old_undated,
    is_digest_of,
    remember_undated,
    undated_digest,
    undated_key,
    undated_taken,
)

NOW = 1_460_462_400_000


def _message(packet_id: int, payload: bytes) -> Published:
    return Published("a", "a", "t", payload, 1, False, False, packet_id, NOW)


def test_what_is_remembered_is_found_by_key_and_content_and_the_later_message_counts(tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=ingest_state.MIGRATIONS) as database:
        remember_undated(database.connection, [_message(7, b"1"), _message(8, b"2"), _message(7, b"3")], at_ms=NOW)
        assert undated_taken(database.connection) == {
            undated_key("a", 7): (undated_digest("t", b"3"), NOW),
            undated_key("a", 8): (undated_digest("t", b"2"), NOW),
        }


def test_what_an_older_kit_had_taken_is_still_known(tmp_path: Path) -> None:
    digest = blake2b(b"sensors/a\0[]", digest_size=16).digest()[:DIGEST_BYTES]
    with Database(tmp_path / "kit.db", migrations=ingest_state.MIGRATIONS[:1]) as old:
        old.connection.execute("INSERT INTO ingest_undated VALUES ('a', 7, ?, ?)", (digest + b"12345678", NOW))
    with Database(tmp_path / "kit.db", migrations=ingest_state.MIGRATIONS) as new:
        assert undated_taken(new.connection) == {undated_key("a", 7): (digest, NOW)}
        assert is_digest_of(digest, "sensors/a", b"[]")
        assert not is_digest_of(digest, "sensors/a", b"[ ]")
        assert is_digest_of(undated_digest("sensors/a", b"[]"), "sensors/a", b"[]")
        assert not is_digest_of(undated_digest("sensors/a", b"[]"), "sensors/b", b"[]")


def test_it_is_forgotten_after_an_hour_and_the_oldest_first_when_it_grows(tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=ingest_state.MIGRATIONS) as database:
        connection = database.connection
        for number in range(5):
            remember_undated(connection, [_message(number, b"")], at_ms=NOW + number)
        forget_old_undated(connection, now_ms=NOW + 100, at_most=3)
        assert set(undated_taken(connection)) == {undated_key("a", number) for number in (2, 3, 4)}
        forget_old_undated(connection, now_ms=NOW + 3 + REPEAT_WITHIN_MS, at_most=3)
        assert set(undated_taken(connection)) == {undated_key("a", 4)}
