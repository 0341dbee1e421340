"""Values are kept small and come back as they were, also those that an older kit stored."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kit.store import ingest_state, readings
from kit.store.database import Database
from kit.store.packed_value import QUALITY_SQL, VALUE_SQL, pack_keys, pack_value, unpack_keys, unpack_value
from kit.store.readings import find_readings, forget_unsynced, unsynced

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SENSED = st.builds(lambda whole, decimals: whole / 10**decimals, st.integers(-(10**9), 10**9), st.integers(0, 7))


@given(value=FINITE | SENSED, decimals=st.integers(0, 6))
def test_every_value_comes_back_bit_for_bit_whatever_was_tried_first(value: float, decimals: int) -> None:
    back = unpack_value(*pack_value(value, decimals))
    assert (back, math.copysign(1, back)) == (value, math.copysign(1, value))


@given(whole=st.integers(-99_999, 99_999), decimals=st.integers(0, 3))
def test_what_a_sensor_says_is_kept_as_a_whole_number(whole: int, decimals: int) -> None:
    stored, _ = pack_value(whole / 10**decimals)
    assert isinstance(stored, int)


@given(keys=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20).filter(lambda keys: len(keys) % 2 == 0))
def test_keys_come_back_in_pairs(keys: list[int]) -> None:
    assert [number for pair in unpack_keys(pack_keys(keys)) for number in pair] == keys


@given(value=FINITE | SENSED, quality=st.integers(0, 127))
def test_sql_reads_the_same_value_and_quality_as_python(value: float, quality: int) -> None:
    stored, decimals = pack_value(value)
    with closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute(
            f"SELECT {VALUE_SQL}, {QUALITY_SQL} FROM (SELECT ? AS value, ? AS code)", (stored, quality * 8 + decimals)
        ).fetchone()
    assert tuple(row) == (value, quality)


def test_what_an_older_kit_stored_and_had_not_sent_is_there_after_the_update(tmp_path: Path) -> None:
    file = tmp_path / "kit.db"
    values = [3.5, -0.07, 21.0, 1 / 3, 1e300, 123456.789]
    with Database(file, migrations=(*readings.MIGRATIONS[:1], *ingest_state.MIGRATIONS)) as old:
        old.connection.execute("INSERT INTO series VALUES (1, 'field-1', 'temperature', 'Cel')")
        for number, value in enumerate(values):
            old.connection.execute("INSERT INTO readings VALUES (1, ?, ?, ?)", (number, value, number))
            old.connection.execute(
                "INSERT INTO unsynced (series, time_ms, arrived_ms) VALUES (1, ?, ?)", (number, number + 100)
            )
    with Database(file, migrations=readings.MIGRATIONS) as new:
        found = [(row.time_ms, row.value, row.quality) for row in find_readings(new.connection)]
        waiting = unsynced(new.connection, limit=4)
        assert [reading.value for reading in waiting.readings] == values[:4]
        assert waiting.oldest_arrived_ms == 100
        forget_unsynced(new.connection, waiting.last_id)
        assert [reading.value for reading in unsynced(new.connection, limit=4).readings] == values[4:]
    assert found == [(number, value, number) for number, value in enumerate(values)]
