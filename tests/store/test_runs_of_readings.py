"""Readings of one series that came at once are kept as they would be one by one."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.store.database import Database
from kit.store.reading_writer import ReadingWriter, Undated
from kit.store.schema import MIGRATIONS

NOON = 1_460_462_400_000


_ops = st.tuples(
    st.integers(0, 1),
    st.lists(st.sampled_from([21.5, 21.5, 21.25, 20.0, 0.0, -0.0, 1 / 3]), min_size=1, max_size=9),
    st.sampled_from([0, 0, 1, 2, 5, 30, -1, -3, -40]),
    st.booleans(),
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without readings."""
    file = tmp_path_factory.mktemp("empty") / "kit.db"
    with Database(file, migrations=MIGRATIONS):
        return file


@settings(max_examples=160, deadline=None)
@given(st.lists(_ops, max_size=12), st.sampled_from([NOON - 20, NOON + 6]))
@example([(0, [21.5], 0, True), (0, [21.5] * 5, 30, True), (0, [20.0] * 6, -3, False)], NOON - 20)  # runs into a run
def test_a_run_is_kept_as_its_readings_would_be_one_by_one(
    empty: Path, ops: list[tuple[int, list[float], int, bool]], late_before_ms: int
) -> None:
    kept = []
    for in_runs in (True, False):
        with TemporaryDirectory() as folder, Database(Path(shutil.copy(empty, folder))) as to:
            to.connection.execute("INSERT INTO rollup_state VALUES (1, ?, 0, 0, 0)", (late_before_ms,))
            _keep(to, ReadingWriter(), ops, in_runs=in_runs)
            tables = ("readings", "latest_readings", "rollup_dirty", "undated_readings")
            kept.append([to.connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables])
            kept[-1] = [sorted(map(tuple, rows)) for rows in kept[-1]]
    # of the undated, only the order within a transaction differs
    assert kept[0][:3] == kept[1][:3]
    assert len(kept[0][3]) == len(kept[1][3])


def _keep(
    database: Database, writer: ReadingWriter, ops: list[tuple[int, list[float], int, bool]], *, in_runs: bool
) -> None:
    time_ms = NOON
    with ExitStack() as transactions:
        for number, values, later_ms, commit in ops:
            if commit or database.connection.transaction is None:
                if database.connection.transaction is not None:
                    writer.flush(database.connection)
                transactions.close()
                writer.begin(transactions.enter_context(database.atomic()))
            connection, time_ms = database.connection, time_ms + later_ms
            series = writer.series(connection, "roof", f"quantity-{number}", "Cel")
            assert series is not None
            undated = Undated(1, NOON, held=bool(number))
            run = writer.run(series, time_ms, values) if in_runs else None
            if run is not None:
                writer.add_run(series, run, (8, 4), time_ms, undated)
            for place, value in enumerate(values if run is None else ()):
                quality = 4 if place else 8
                writer.add(connection, series, time_ms, value, quality, None, time_ms, own_time=False, undated=undated)
        if database.connection.transaction is not None:
            writer.flush(database.connection)
