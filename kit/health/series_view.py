"""Readings, hours and days as rows for programs (`kit readings`, `/api/v1/series`), and what is in them.

Every row of anything but a plain reading says what it is: `resolution` and, in `value`, the mean of the usable ones.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from kit.health.times import rfc3339
from kit.model.quantities import definition_of, quantity_named, units_converted
from kit.model.readings import UNFIT, Quality, explain_quality, qc_letter, quality_word
from kit.store.readings import StoredReading
from kit.store.rollup_rows import Bucket, Row, SeriesRow
from kit.store.rollups import rollup_state

READING_COLUMNS = ("time", "device", "quantity", "unit", "value", "quality")
"""Of a CSV of readings and of every JSON row (DESIGN §5)."""

BUCKET_COLUMNS = (*READING_COLUMNS, "resolution", "end", "min", "mean", "max", "count", "usable", "flagged", "flags")
"""Of a CSV in which there are hours or days."""

CSV_ROWS_AT_ONCE = 500


def row_json(row: Row) -> dict[str, Any]:
    """A row as JSON: `READING_COLUMNS` with what is doubtful in words; of an hour or day `BUCKET_COLUMNS`."""
    if isinstance(row, StoredReading):
        return {
            "time": rfc3339(row.time_ms),
            "device": row.device,
            "quantity": row.quantity,
            "unit": row.unit,
            "value": row.value,
            "quality": row.quality_word,
            "quality_words": explain_quality(row.quality),
            "qc": qc_letter(row.quality),
        }
    return {
        "time": rfc3339(row.start_ms),
        "device": row.device,
        "quantity": row.quantity,
        "unit": row.unit,
        "value": _rounded(row.mean),
        "quality": _bucket_quality(row),
        "resolution": row.resolution,
        "end": rfc3339(row.end_ms),
        "min": row.low,
        "mean": _rounded(row.mean),
        "max": row.high,
        "count": row.total,
        "usable": row.usable,
        "flagged": row.flagged,
        "flags": row.flag_words,
    }


def csv_lines(rows: Iterable[Row], *, with_buckets: bool) -> Iterator[str]:
    """The rows as CSV, some hundred lines at a time; the first line names the columns."""
    columns = BUCKET_COLUMNS if with_buckets else READING_COLUMNS
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for some in _batched(rows):
        for row in some:
            told = row_json(row)
            if with_buckets:
                told = {"resolution": "raw", **told, "flags": _flags_text(told.get("flags"))}
            writer.writerow(told)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def series_json(connection: sqlite3.Connection, series: SeriesRow) -> dict[str, Any]:
    """A series with what its numbers mean: the data dictionary's entry for it."""
    known = quantity_named(series.quantity)
    first, last, value = connection.execute(
        "SELECT (SELECT min(time_ms) FROM readings WHERE series = s.id), l.time_ms, l.value FROM series s "
        "LEFT JOIN latest_readings l ON l.series = s.id WHERE s.id = ?",
        (series.id,),
    ).fetchone()
    hours = connection.execute("SELECT min(hour) FROM hourly WHERE series = ?", (series.id,)).fetchone()[0]
    return {
        "id": series.id,
        "device": series.device,
        "quantity": series.quantity,
        "unit": series.unit,
        "definition": definition_of(series.quantity),
        "limits": None if known is None else {"min": known.low, "max": known.high},
        "resolution": None if known is None else known.resolution,
        "converted_from": units_converted(series.unit) if known is not None else [],
        "source": f"the device {series.device}, over MQTT" if series.device else "",
        "raw_from": rfc3339(first),
        "hourly_from": rfc3339(None if hours is None else hours * 3_600_000),
        "last": rfc3339(last),
        "last_value": value,
    }


def flags_json() -> list[dict[str, Any]]:
    """What each flag means, and whether such a reading is left out of minimum, mean and maximum."""
    return [
        {"flag": quality_word(flag), "meaning": explain_quality(flag)[0], "left_out": bool(flag & UNFIT)}
        for flag in Quality
        if flag and explain_quality(flag)
    ]


def retention_json(connection: sqlite3.Connection, *, raw_days: int, hourly_days: int) -> dict[str, Any]:
    """How long what is kept, and where it begins now."""
    state = rollup_state(connection)
    return {
        "raw_days": raw_days,
        "hourly_days": hourly_days,
        "raw_from": rfc3339(state.raw_from_ms) if state.raw_from_ms > 0 else None,
        "hourly_from": rfc3339(state.hourly_from_ms) if state.hourly_from_ms > 0 else None,
        "too_late": state.too_late,
    }


def _rounded(mean: float | None) -> float | None:
    # a mean of sums in binary shows dust in the sixteenth digit; twelve are more than any sensor has
    return None if mean is None else float(f"{mean:.12g}")


def _bucket_quality(row: Bucket) -> str:
    if not row.usable:
        return quality_word(max(row.flags, key=lambda flag: row.flags[flag])) if row.flags else "good"
    return "good" if not row.flagged else f"{row.flagged} of {row.total} flagged"


def _flags_text(flags: Any) -> str:
    return json.dumps(flags) if flags else ""


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while some := list(itertools.islice(source, CSV_ROWS_AT_ONCE)):
        yield some
