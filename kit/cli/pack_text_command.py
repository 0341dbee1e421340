"""`kit sync pack --text FILE`: how many bytes messages cost, line by line, and the proof that they come back."""

from __future__ import annotations

import argparse
from typing import Any

from kit.cli.output import print_json, print_table
from kit.cli.pack_file import PackFileError
from sync.packing.errors import PackingError
from sync.packing.text import pack_text, unpack_text

SHOWN = 40
"""Characters of a line that a person is shown."""


def run_pack_text(arguments: argparse.Namespace) -> int:
    """Pack each line of the file as a message of its own."""
    if arguments.resolution:
        raise PackFileError("--resolution is for measurements; leave it out with --text")
    try:
        lines = [line for line in arguments.text.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise PackFileError(f"{arguments.text}: this is no text in UTF-8 ({error.reason})") from error
    if not lines:
        raise PackFileError(f"{arguments.text}: there is no line in it")
    try:
        rows = [_row(line) for line in lines]
    except PackingError as error:
        raise PackFileError(f"{arguments.text}: {error}") from error
    exact = all(row["exact"] for row in rows)
    total = {key: sum(row[key] for row in rows) for key in ("characters", "utf8_bytes", "bytes")}
    report = {"file": str(arguments.text), "lines": rows, **total, "round_trip": "exact" if exact else "failed"}
    if arguments.json:
        print_json(report)
    else:
        cells = [(row["characters"], row["utf8_bytes"], row["bytes"], row["text"][:SHOWN]) for row in rows]
        print_table(("characters", "utf-8", "packed", "text"), cells, empty="")
        print(f"{report['bytes']} bytes for {report['characters']} characters ({report['utf8_bytes']} as UTF-8)")
        print("Unpacked and compared: every line came back." if exact else "The lines did NOT come back; report this.")
    return 0 if exact else 1


def _row(line: str) -> dict[str, Any]:
    packed = pack_text(line)
    return {
        "text": line,
        "characters": len(line),
        "utf8_bytes": len(line.encode("utf-8")),
        "bytes": len(packed),
        "exact": unpack_text(packed) == line,
    }
