"""Read recorded weather: hourly surface observations as CSV, plain or gzip.

The format is one header line and one line per observation, oldest first:
`time_utc,air_temp_c,dew_point_c,sea_level_pressure_hpa,wind_dir_deg,wind_speed_ms,sky_oktas,rain_1h_mm`.
An empty cell is a missing observation. The values are handed on as recorded, spikes and stuck sensors included: what is
believable is for the collector and the forecast to judge. What is *unreadable* is refused with the line's number,
because a half-read file gives a forecast that looks right.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kit.errors import KitError, UsageError

COLUMNS = (
    "time_utc",
    "air_temp_c",
    "dew_point_c",
    "sea_level_pressure_hpa",
    "wind_dir_deg",
    "wind_speed_ms",
    "sky_oktas",
    "rain_1h_mm",
)
"""The header, in this order."""

HIGHEST_OKTAS = 8
"""Sky cover is counted in eighths; 9 means that fog or snow hid the sky, other codes that nobody looked."""

LARGEST_NUMBER = 100_000.0
"""No weather quantity in these units comes near; a larger number is a damaged line, not an odd sensor."""


class WeatherFileError(KitError):
    """The file is damaged; the sentence names the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherRow:
    """One observation; None where the station reported nothing.

    Attributes:
        at_s: when it was observed, Unix seconds.
        air_temp_c: °C.
        dew_point_c: °C.
        pressure_hpa: reduced to sea level, hPa.
        wind_dir_deg: where the wind comes from, degrees from north.
        wind_speed_ms: m/s.
        sky_oktas: eighths of the sky covered, 0 to 8; None also when the sky was hidden.
        rain_1h_mm: mm in the hour before.
    """

    at_s: int
    air_temp_c: float | None = None
    dew_point_c: float | None = None
    pressure_hpa: float | None = None
    wind_dir_deg: float | None = None
    wind_speed_ms: float | None = None
    sky_oktas: float | None = None
    rain_1h_mm: float | None = None


def read_weather(file: Path) -> list[WeatherRow]:
    """Read a whole file, oldest first; a time that occurs twice keeps its first row.

    Raises:
        UsageError: there is no such file, or it is no weather file.
        WeatherFileError: the file is damaged.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8", newline="") as stream:
            return list(parse_weather(stream, source=str(file)))
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no file {file}; give the path of an hourly weather CSV (.csv or .csv.gz)"
        ) from error
    except IsADirectoryError as error:
        raise UsageError(f"{file} is a directory; give the path of an hourly weather CSV (.csv or .csv.gz)") from error
    except (EOFError, zlib.error) as error:
        raise WeatherFileError(
            f"{file} is cut off or damaged ({_first_line(error)}); copy or download it again"
        ) from error
    except gzip.BadGzipFile as error:
        raise UsageError(f"{file} is not gzip although its name ends in .gz; unpack it or rename it to .csv") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file} is not text; an hourly weather CSV starts with the line {','.join(COLUMNS)}"
        ) from error
    except OSError as error:
        raise KitError(f"{file} cannot be read: {error.strerror or error}") from error


def parse_weather(lines: Iterable[str], *, source: str) -> Iterator[WeatherRow]:
    """Parse lines, header first; `source` names the file in errors.

    Raises:
        UsageError: the header is another one, or there is none.
        WeatherFileError: a line cannot be understood, or goes back in time.
    """
    numbered = csv.reader(lines)
    header = next(numbered, None)
    if header is None:
        raise UsageError(f"{source} is empty; an hourly weather CSV starts with the line {','.join(COLUMNS)}")
    if tuple(cell.strip().lstrip("\ufeff") for cell in header) != COLUMNS:
        raise UsageError(f"{source} is no hourly weather CSV: its first line must be {','.join(COLUMNS)}")
    before = None
    try:
        for cells in numbered:
            if not any(cell.strip() for cell in cells):
                continue
            row = _parse_row(cells, source=source, number=numbered.line_num)
            if before is not None and row.at_s < before:
                raise WeatherFileError(
                    f"{source} line {numbered.line_num}: {cells[0]} is earlier than the line before; "
                    "sort the file by time"
                )
            if row.at_s != before:
                yield row
            before = row.at_s
    except csv.Error as error:
        raise WeatherFileError(f"{source} line {numbered.line_num}: not CSV ({error})") from error


def _parse_row(cells: list[str], *, source: str, number: int) -> WeatherRow:
    if len(cells) != len(COLUMNS):
        raise WeatherFileError(
            f"{source} line {number}: {len(cells)} values where {len(COLUMNS)} belong; is the file cut off?"
        )
    values = [
        _number(cell, source=source, line=number, column=name)
        for cell, name in zip(cells[1:], COLUMNS[1:], strict=True)
    ]
    temperature, dew_point, pressure, direction, speed, sky, rain = values
    return WeatherRow(
        at_s=_time(cells[0], source=source, line=number),
        air_temp_c=temperature,
        dew_point_c=dew_point,
        pressure_hpa=pressure,
        wind_dir_deg=direction,
        wind_speed_ms=speed,
        sky_oktas=sky if sky is not None and 0 <= sky <= HIGHEST_OKTAS else None,
        rain_1h_mm=rain,
    )


def _time(cell: str, *, source: str, line: int) -> int:
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise WeatherFileError(
            f"{source} line {line}: {cell!r} is no UTC time; it should look like 2016-04-12T03:00:00Z"
        )
    return int(moment.astimezone(UTC).timestamp())


def _number(cell: str, *, source: str, line: int, column: str) -> float | None:
    text = cell.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) <= LARGEST_NUMBER:  # also refuses nan and inf
        raise WeatherFileError(f"{source} line {line}: {column} is {cell!r}, which is no number; correct or empty it")
    return value


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
