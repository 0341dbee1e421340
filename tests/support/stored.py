"""Put readings and records into a unit's store as its services do."""

from __future__ import annotations

from kit.home import Home
from kit.model.readings import Quality
from kit.run.schema import open_unit_store
from kit.store.reading_writer import ReadingWriter
from kit.store.records import write_record


def measure(home: Home, device: str, *values: float, begin_ms: int = 1_800_000_000_000, step_ms: int = 1000) -> None:
    writer = ReadingWriter()
    with open_unit_store(home) as store, store.atomic() as connection:
        writer.begin(connection)
        series = writer.series(connection, device, "temperature", "Cel")
        assert series is not None
        for number, value in enumerate(values):
            writer.add(
                connection,
                series,
                time_ms=begin_ms + number * step_ms,
                value=value,
                quality=Quality.GOOD,
                raw=None,
                arrived_ms=0,
                own_time=True,
            )
        writer.flush(connection)


def write(home: Home, kind: str, body: bytes) -> None:
    with open_unit_store(home) as store, store.atomic() as connection:
        write_record(connection, kind=kind, priority=1, body=body, created_ms=0)
