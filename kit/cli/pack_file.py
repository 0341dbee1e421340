"""Read a CSV of measurements, whatever its columns are called, into rows that can be packed.

Two shapes are understood: a column for each quantity (`time_s,sensor,temperature_c,humidity_pct`), and a row for each
value, as `kit readings --format csv` prints them. Nothing is guessed about a cell that cannot be read: it is named.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from kit.cli.parser import nearest
from kit.errors import KitError
from kit.model.readings import Quality

TIME_COLUMNS = {"time_s": 1000, "unix_s": 1000, "timestamp": 1000, "time_ms": 1, "time_utc": 0, "time": 0}
"""The names a column of times may have, and how many ms one is; 0 = RFC 3339, or Unix seconds where it is a number."""

DEVICE_COLUMNS = ("sensor", "device", "station")
LONG_COLUMNS = {"quantity", "value"}

MAX_FILE_BYTES = 64 * 1024 * 1024
LATEST_MS = 253_402_300_799_000  # the year 9999


class PackFileError(KitError):
    """The file cannot be packed; the sentence names the line and the column."""


@dataclass(frozen=True)
class Measured:
    """One row of the file."""

    time_ms: int
    device: str
    values: tuple[float | None, ...]
    doubts: tuple[int, ...]


@dataclass(frozen=True)
class PackFile:
    """What is in the file.

    Attributes:
        time: the name of its column of times.
        columns: the names of the quantities.
        rows: in the order of the file.
    """

    time: str
    columns: tuple[str, ...]
    rows: tuple[Measured, ...]


def read_pack_file(path: Path) -> PackFile:
    """Read the file.

    Raises:
        PackFileError: it is no CSV of measurements.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        header = [name.strip() for name in next(lines, [])]
        time_at = _find(path, header, tuple(TIME_COLUMNS), "times")
        if len(set(header)) < len(header):
            raise PackFileError(f"{path}: two columns have the same name: {', '.join(header)}")
        table = list(_lines(path, header, lines))
        long = set(header) >= LONG_COLUMNS
        return _read_long(path, header, time_at, table) if long else _read_wide(path, header, time_at, table)
    except csv.Error as error:
        raise PackFileError(f"{path}, line {lines.line_num}: {error}") from error


def _text(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PackFileError(f"{path}: the gzip file is damaged ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise PackFileError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; no link carries that as one batch")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PackFileError(f"{path}: this is no text in UTF-8 ({error.reason} at byte {error.start})") from error


def _find(path: Path, header: Sequence[str], names: Sequence[str], what: str) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    near = nearest(header[0], names) if header and header[0] else ""
    raise PackFileError(f"{path}: no column of {what}; its header is '{','.join(header)[:80]}'{near}")


def _lines(path: Path, header: Sequence[str], lines: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise PackFileError(f"{path}, line {number}: {len(cells)} cells under {len(header)} column names")
        yield number, cells


def _read_wide(path: Path, header: Sequence[str], time_at: int, table: Sequence[tuple[int, list[str]]]) -> PackFile:
    device_at = next((header.index(name) for name in DEVICE_COLUMNS if name in header), None)
    kept = [at for at in range(len(header)) if at not in (time_at, device_at)]
    if not kept:
        raise PackFileError(f"{path}: there is no column of values, only {', '.join(header)}")
    rows = tuple(
        Measured(
            _time(path, number, header[time_at], cells[time_at]),
            "" if device_at is None else cells[device_at],
            tuple(_value(path, number, header[at], cells[at]) for at in kept),
            (0,) * len(kept),
        )
        for number, cells in table
    )
    return PackFile(header[time_at], tuple(header[at] for at in kept), rows)


def _read_long(path: Path, header: Sequence[str], time_at: int, table: Sequence[tuple[int, list[str]]]) -> PackFile:
    device_at = _find(path, header, DEVICE_COLUMNS, "devices")
    quantity_at, value_at = header.index("quantity"), header.index("value")
    quality_at = header.index("quality") if "quality" in header else None
    columns = tuple(dict.fromkeys(cells[quantity_at] for _, cells in table))
    rows: list[dict[str, tuple[float | None, int]]] = []
    places: dict[tuple[int, str], int] = {}
    for number, cells in table:
        key = (_time(path, number, header[time_at], cells[time_at]), cells[device_at])
        told = (
            _value(path, number, "value", cells[value_at]),
            0 if quality_at is None else _doubt(path, number, cells[quality_at]),
        )
        at = places.setdefault(key, len(rows))
        if at == len(rows):
            rows.append({})
        if cells[quantity_at] in rows[at]:
            raise PackFileError(f"{path}, line {number}: a second {cells[quantity_at]} of {key[1]} at the same time")
        rows[at][cells[quantity_at]] = told
    nothing = (None, 0)
    return PackFile(
        header[time_at],
        columns,
        tuple(
            Measured(
                time_ms,
                device,
                tuple(row.get(name, nothing)[0] for name in columns),
                tuple(row.get(name, nothing)[1] for name in columns),
            )
            for (time_ms, device), row in zip(places, rows, strict=True)
        ),
    )


def _time(path: Path, number: int, name: str, text: str) -> int:
    try:
        unit_ms = TIME_COLUMNS[name]
        if unit_ms == 0 and not text.replace(".", "", 1).isdigit():
            moment = datetime.fromisoformat(text)
            time_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        else:
            time_ms = int((Decimal(text) * (unit_ms or 1000)).to_integral_value())
        if abs(time_ms) <= LATEST_MS:
            return time_ms
    except (ValueError, InvalidOperation, OverflowError):
        pass
    raise PackFileError(f"{path}, line {number}: '{text[:40]}' under {name} is no time")


def _value(path: Path, number: int, name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PackFileError(
            f"{path}, line {number}: '{text[:40]}' under {name} is no number; leave out what is missing"
        )
    return value


def _doubt(path: Path, number: int, text: str) -> int:
    if text in ("", "good"):
        return 0
    flags = 0
    for word in text.split("+"):
        try:
            flags |= int(Quality[word.upper()])
        except KeyError:
            raise PackFileError(f"{path}, line {number}: the kit knows no quality '{word[:40]}'") from None
    return flags
