"""The ends of the services' log files, for `kit log` and the TUI. Reads the tail only: a log may be a megabyte."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.home import Home

BYTES_PER_LINE = 400
"""More than nearly every line has; the tail that is read is this times the lines asked for."""


@dataclass(frozen=True)
class LogLine:
    """A line of a service's log; `text` starts with its time."""

    service: str
    text: str


def log_files(home: Home) -> dict[str, Path]:
    """The log file of each service that has one, by name."""
    return {file.stem: file for file in sorted(home.log.glob("*.log"))}


def last_lines(files: Mapping[str, Path], count: int) -> list[LogLine]:
    """The last `count` lines of all these files together, in the order of their times.

    A line without a time (of a traceback) stays behind the line it belongs to.
    """
    keyed: list[tuple[str, str, int, LogLine]] = []
    for service, file in files.items():
        stamp = ""
        for number, text in enumerate(_tail(file, count)):
            if text[:4].isdecimal():
                stamp = text.split(" ", 1)[0]
            keyed.append((stamp, service, number, LogLine(service, text)))
    keyed.sort(key=lambda item: item[:3])
    return [line for *_, line in keyed[-count:]]


def _tail(file: Path, count: int) -> list[str]:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = max(0, size - count * BYTES_PER_LINE)
            stream.seek(start)
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return (lines[1:] if start else lines)[-count:]
