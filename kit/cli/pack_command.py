"""`kit sync pack`: how many bytes a table of measurements costs on a thin link, and the proof that it comes back."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.cli.output import print_json, table
from kit.cli.pack_file import Measured, PackFile, read_pack_file
from kit.cli.parser import nearest
from kit.errors import KitError, UsageError
from sync.packing.coder import Encoder
from sync.packing.errors import PackingError
from sync.packing.rows import Row, Table
from sync.packing.scale import Scale, scale_for, scale_of_step
from sync.packing.table import pack, unpack

TIME_UNITS_MS = (3_600_000, 60_000, 1000, 1)
"""The coarsest that holds every time of the file exactly is used."""

_ROUNDING = 1e-9
"""Of the half step a value may be off: the last bits of a double are not counted against the resolution."""


def add_pack(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kit sync pack`."""
    parser.description = (
        "Pack a CSV of measurements as the kit packs its readings for a thin link, print what it costs, unpack it and "
        "compare. The names of sensors and columns are numbers that both sides agreed on before; everything else that "
        "is needed to unpack is counted."
    )
    parser.add_argument("file", type=Path, metavar="FILE", nargs="?", help="measurements, .csv or .csv.gz")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="instead, a text file: each of its lines is packed as a message"
    )
    parser.add_argument(
        "--resolution",
        type=parse_resolutions,
        default={},
        metavar="COLUMN=STEP,…",
        help="round to these steps, for example temperature_c=0.1,humidity_pct=1 or time_s=60 (exact)",
    )
    parser.set_defaults(run=run_pack)


def parse_resolutions(text: str) -> dict[str, float]:
    """`temperature_c=0.1,humidity_pct=1` as numbers."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, step = part.partition("=")
        try:
            found[name.strip()] = float(step)
            scale_of_step(found[name.strip()])
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise argparse.ArgumentTypeError(f"'{part}' is no COLUMN=STEP; write it like temperature_c=0.1")
    return found


@dataclass(frozen=True)
class Packed:
    """A file's rows, packed, and what each part cost.

    Attributes:
        bits: per part, in the order of the bytes.
        returned: the rows as they were unpacked, in the order of (time, device).
    """

    file: PackFile
    table: Table
    data: bytes
    bits: dict[str, float]
    returned: list[Measured]


def run_pack(arguments: argparse.Namespace) -> int:
    """Print the bytes and whether the rows came back."""
    if (arguments.file is None) == (arguments.text is None):
        raise UsageError("sync pack: say one FILE, of measurements or (--text) of messages; see kit sync pack --help")
    if arguments.text is not None:
        from kit.cli.pack_text_command import run_pack_text

        return run_pack_text(arguments)
    file = read_pack_file(arguments.file)
    if not file.rows:
        raise KitError(f"{arguments.file}: there is no row under the header")
    known = (file.time, *file.columns)
    for name in arguments.resolution:
        if name not in known:
            raise UsageError(f"{arguments.file} has no column '{name}'{nearest(name, known)}")
    try:
        packed = pack_file(file, arguments.resolution)
    except PackingError as error:
        raise KitError(f"{arguments.file}: {error}") from error
    report = report_of(arguments.file, packed)
    if arguments.json:
        print_json(report)
    else:
        _print_report(report)
    return 0 if report["round_trip"] != "failed" else 1


def pack_file(file: PackFile, resolutions: dict[str, float]) -> Packed:
    """Pack the file's rows, and unpack them again.

    Raises:
        PackingError: a number in it cannot be packed.
    """
    devices = {name: at for at, name in enumerate(dict.fromkeys(row.device for row in file.rows))}
    scales = [_scale(file, at, resolutions.get(name)) for at, name in enumerate(file.columns)]
    unit_ms = _time_unit(file, resolutions.get(file.time))
    rows = tuple(
        Row(
            (row.time_ms + unit_ms // 2) // unit_ms,
            devices[row.device],
            tuple(
                None if value is None else scale.number(value) for value, scale in zip(row.values, scales, strict=True)
            ),
            row.doubts,
        )
        for row in file.rows
    )
    told = Table(unit_ms, tuple(enumerate(scales)), rows)
    bits: dict[str, float] = {}

    def watch(part: str, coder: Encoder) -> None:
        out, left = coder.state
        bits[part] = out * 8 - math.log2(left) - sum(bits.values()) + (math.log2(coder.WHOLE_RANGE))

    data = pack(told, watch=watch)
    names = list(devices)
    returned = [
        Measured(
            row.time * unit_ms,
            names[row.device],
            tuple(
                None if value is None else scale.value(value) for value, scale in zip(row.values, scales, strict=True)
            ),
            row.doubts,
        )
        for row in unpack(data).rows
    ]
    return Packed(file, told, data, bits, returned)


def _scale(file: PackFile, at: int, step: float | None) -> Scale:
    if step is not None:
        return scale_of_step(step)
    return scale_for(value for row in file.rows if (value := row.values[at]) is not None)


def _time_unit(file: PackFile, step_s: float | None) -> int:
    if step_s is not None:
        if not (step_s * 1000).is_integer():
            raise UsageError(f"the resolution of {file.time} is in seconds, in whole thousandths; {step_s:g} is not")
        return int(step_s * 1000)
    return next(unit for unit in TIME_UNITS_MS if all(row.time_ms % unit == 0 for row in file.rows))


def report_of(path: Path, packed: Packed) -> dict[str, Any]:
    """What `--json` prints."""
    file, rows = packed.file, len(packed.file.rows)
    # rows were put in the order of time; equal ones keep the order they had
    devices = list(dict.fromkeys(row.device for row in file.rows))
    told = sorted(
        file.rows,
        key=lambda row: ((row.time_ms + packed.table.unit_ms // 2) // packed.table.unit_ms, devices.index(row.device)),
    )
    time_error_s = max(abs(a.time_ms - b.time_ms) for a, b in zip(told, packed.returned, strict=True)) / 1000
    columns = [
        {
            "name": file.time,
            "resolution": packed.table.unit_ms / 1000,
            "bytes": _bytes(packed.bits["time"]),
            "max_error": time_error_s,
        }
    ]
    ok = time_error_s * 2000 <= packed.table.unit_ms and all(
        a.device == b.device and a.doubts == b.doubts for a, b in zip(told, packed.returned, strict=True)
    )
    for at, name in enumerate(file.columns):
        step = packed.table.columns[at][1].step
        error = _largest_error([(a.values[at], b.values[at]) for a, b in zip(told, packed.returned, strict=True)])
        ok = ok and error <= (0.0 if step is None else step / 2 * (1 + _ROUNDING))
        columns.append(
            {"name": name, "resolution": step, "bytes": _bytes(packed.bits[f"values {at}"]), "max_error": error}
        )
    exact = all(column["max_error"] == 0 for column in columns)
    return {
        "file": str(path),
        "rows": rows,
        "devices": len(devices),
        "bytes": len(packed.data),
        "bytes_per_row": round(len(packed.data) / rows, 3),
        "columns": columns,
        "head_bytes": _bytes(packed.bits["head"]),
        "gaps_and_doubts_bytes": _bytes(packed.bits["doubts"]),
        "round_trip": "failed" if not ok else "exact" if exact else "within the resolution",
        "in_order": list(file.rows) == told,
    }


def _bytes(bits: float) -> float:
    return round(bits / 8, 1)


def _largest_error(pairs: Sequence[tuple[float | None, float | None]]) -> float:
    largest = 0.0
    for told, returned in pairs:
        if (told is None) != (returned is None):
            return math.inf
        if told is not None and returned is not None:
            largest = max(largest, abs(told - returned))
    return largest


def _print_report(report: dict[str, Any]) -> None:
    rows, count = report["rows"], report["bytes"]
    print(f"{count} bytes for {rows} rows of {report['devices']} sensors: {count / rows:.2f} a row")
    lines: list[tuple[object, ...]] = [("(head)", "", report["head_bytes"], "", "")]
    for column in report["columns"]:
        step = "double" if column["resolution"] is None else f"{column['resolution']:g}"
        lines.append((column["name"], step, column["bytes"], round(column["bytes"] * 8 / rows, 2), column["max_error"]))
    if report["gaps_and_doubts_bytes"]:
        lines.append(("(gaps, doubts)", "", report["gaps_and_doubts_bytes"], "", ""))
    print(table(("part", "step", "bytes", "bits a row", "largest error"), lines))
    words = {
        "exact": "Unpacked and compared: every row came back exactly.",
        "within the resolution": "Unpacked and compared: every row came back within half a step.",
        "failed": "Unpacked and compared: the rows did NOT come back. This is a defect of the kit; please report it.",
    }
    order = "" if report["in_order"] else " The rows come back in the order of time, then of sensors."
    print(words[report["round_trip"]] + order)
