"""`kit readings`: what was measured, row by row as it is read, so that a season fits into any memory."""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kit.cli.parser import nearest
from kit.cli.unit import reading_store, unit_of
from kit.errors import UsageError
from kit.health.series_view import csv_lines, row_json
from kit.health.times import rfc3339
from kit.health.words import zone_of
from kit.model.local_days import LocalDays
from kit.model.quantities import QUANTITIES
from kit.store.devices import list_devices
from kit.store.readings import StoredReading, known_names, raw_reading
from kit.store.rollup_rows import RESOLUTIONS, Row, find_rows, stand_ins


def add_readings(parser: argparse.ArgumentParser) -> None:
    """`kit readings [--device NAME] [--quantity Q] [--since T] [--until T] [--resolution R] [--format json|csv]`."""
    parser.add_argument("--device", metavar="NAME", help="only of this device")
    parser.add_argument("--quantity", metavar="Q", help="only this quantity, for example temperature")
    parser.add_argument("--since", type=time_of, metavar="T", help="from then on, for example 2016-04-12T03:00:00Z")
    parser.add_argument("--until", type=time_of, metavar="T", help="before then")
    parser.add_argument(
        "--resolution",
        choices=RESOLUTIONS,
        default="raw",
        help="every reading, or hours or days (minimum, mean, maximum)",
    )
    parser.add_argument("--format", choices=("json", "csv"), help="instead of a table")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say below each reading what is doubtful and what the device said",
    )
    parser.set_defaults(run=show_readings)


def time_of(text: str) -> int:
    """An RFC 3339 time or date as Unix ms; UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a time; write it like 2016-04-12T03:00:00Z or 2016-04-12"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def show_readings(arguments: argparse.Namespace) -> int:
    """Print them in the order of time."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        _check_names(arguments, database.connection)
        wanted = {"device": arguments.device, "quantity": arguments.quantity, "since_ms": arguments.since}
        days = LocalDays(zone_of(unit.settings.unit.timezone))
        _say_what_is_gone(stand_ins(database.connection, arguments.resolution, **wanted), arguments.resolution)
        with_buckets = arguments.resolution != "raw" or bool(stand_ins(database.connection, "raw", **wanted))
        rows = find_rows(database.connection, arguments.resolution, days=days, until_ms=arguments.until, **wanted)
        if arguments.format == "csv":
            for lines in csv_lines(rows, with_buckets=with_buckets):
                sys.stdout.write(lines)
        elif arguments.json or arguments.format == "json":
            print_json_rows(map(row_json, rows))
        elif with_buckets:
            _print_table(rows)
        else:
            _print_text(rows, notes=partial(_notes, database.connection) if arguments.explain else lambda _: ())
    return 0


def print_json_rows(rows: Iterable[dict[str, Any]]) -> None:
    """A JSON array, one row per line, without holding it in memory."""
    separator = "[\n"
    for row in rows:
        sys.stdout.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("\n]\n" if separator == ",\n" else "[]\n")


def _check_names(arguments: argparse.Namespace, connection: sqlite3.Connection) -> None:
    """A misspelt name is an error, not an empty answer; a device that was added and has not spoken yet is none."""
    measured, quantities = known_names(connection)
    devices = sorted({*measured, *(device.name for device in list_devices(connection))})
    if arguments.device and arguments.device not in devices:
        raise UsageError(f"nothing was ever heard of a device '{arguments.device}'{nearest(arguments.device, devices)}")
    if arguments.quantity and arguments.quantity not in {*quantities, *QUANTITIES}:
        what = nearest(arguments.quantity, quantities)
        raise UsageError(f"nothing was ever measured of a quantity '{arguments.quantity}'{what}")


def _say_what_is_gone(gone: dict[str, int], resolution: str) -> None:
    """On standard error, so that whoever reads the rows with a program is not disturbed."""
    lost = {"raw": "the readings", "hour": "the hours"}.get(resolution, "")
    for coarser, until_ms in gone.items():
        what = "hourly" if coarser == "hour" else "daily"
        until = f"before {rfc3339(until_ms)}"
        print(
            f"{until} {lost} are gone ([retention]); {what} minimum, mean and maximum stand for them", file=sys.stderr
        )


def _print_table(rows: Iterator[Row]) -> None:
    """Hours and days, and readings among them, for people; the first column says which each line is."""
    first = next(rows, None)
    if first is None:
        print("No readings.")
        return
    print(
        f"{'':<5}{'TIME':<20}  {'DEVICE':<14}  {'QUANTITY':<16}  "
        f"{'MIN':>8}  {'MEAN':>8}  {'MAX':>8}  {'COUNT':>6}  UNIT   QUALITY"
    )
    for row in itertools.chain([first], rows):
        told = row_json(row)
        figures = [told.get(name, told["value"] if name == "mean" else None) for name in ("min", "mean", "max")]
        low, mean, high = ("" if figure is None else f"{figure:.6g}" for figure in figures)
        kind, count = told.get("resolution", "raw"), told.get("count", 1)
        print(
            f"{kind:<5}{told['time']:<20}  {told['device']:<14}  {told['quantity']:<16}  "
            f"{low:>8}  {mean:>8}  {high:>8}  {count:>6}  {told['unit']:<5}  {told['quality']}"
        )


def _notes(connection: sqlite3.Connection, row: Row) -> Iterator[str]:
    """What the device really said, where the kit converted it, and what is doubtful."""
    told = raw_reading(connection, row) if isinstance(row, StoredReading) else None
    if told is not None:
        yield f"The device said {told[0]:.6g} {told[1]}."
    yield from row_json(row)["quality_words"]


def _print_text(stored: Iterator[Row], *, notes: Callable[[Row], Iterable[str]]) -> None:
    # widths are taken from the first rows: nothing waits for the last one
    rows = ((row_json(row), row) for row in stored)
    first = list(itertools.islice(rows, 200))
    if not first:
        print("No readings.")
        return
    device = max(6, *(len(row["device"]) for row, _ in first))
    quantity = max(8, *(len(row["quantity"]) for row, _ in first))
    print(f"{'TIME':<20}  {'DEVICE':<{device}}  {'QUANTITY':<{quantity}}  {'VALUE':>9}  UNIT   QUALITY")
    for row, reading in itertools.chain(first, rows):
        value = f"{row['value']:>9.6g}"
        print(
            f"{row['time']:<20}  {row['device']:<{device}}  {row['quantity']:<{quantity}}  "
            f"{value}  {row['unit']:<5}  {row['quality']}"
        )
        for sentence in notes(reading):
            print(f"{'':<20}  {sentence}")
