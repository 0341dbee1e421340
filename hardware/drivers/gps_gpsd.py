"""The time from a satellite receiver behind gpsd.

gpsd (https://gpsd.io/gpsd_json.html) serves JSON lines on TCP 2947: after `?WATCH={"enable":true,"json":true}` it
reports TPV objects; `mode` 2 and 3 are fixes, and only then `time` (ISO 8601, UTC, GPS leap seconds applied) is sure.
A report comes about once a second, up to half a second after the instant it names: good enough for a village.
"""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import Any

from hardware.ports import HardwareError, TimeFix

ANSWER_S = 4.0
"""Real seconds: a receiver reports once a second, a cold one says so as often."""

FIX_2D = 2
MOST_LINES = 50
"""Of other reports before the first with a fix; a receiver that is searching sends a few a second."""

LONGEST_LINE = 65_536
WATCH = b'?WATCH={"enable":true,"json":true};\n'


class GpsdTime:
    """Asks gpsd at `host`:`port`; a connection per question, so that a receiver may come and go."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def read(self) -> TimeFix | None:
        """The time of the next fix; None while the receiver has none."""
        satellites: int | None = None
        try:
            with socket.create_connection((self._host, self._port), timeout=ANSWER_S) as connection:
                connection.sendall(WATCH)
                with connection.makefile("rb") as lines:
                    for _ in range(MOST_LINES):
                        report = _parse(lines.readline(LONGEST_LINE))
                        if report.get("class") == "SKY" and isinstance(report.get("uSat"), int):
                            satellites = report["uSat"]
                        if report.get("class") == "TPV":
                            return _fix(report, satellites)
        except TimeoutError:
            return None  # gpsd is there, its receiver says nothing yet
        except OSError as error:
            raise HardwareError(
                f"gpsd does not answer at {self._host}:{self._port} ({error.strerror or error}); "
                f"check [clock] gps in kit.toml, and that gpsd runs"
            ) from error
        return None


def _parse(line: bytes) -> dict[str, Any]:
    if not line:
        raise HardwareError("gpsd closed the connection; check its receiver's lead")
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _fix(report: dict[str, Any], satellites: int | None) -> TimeFix | None:
    mode, time = report.get("mode"), report.get("time")
    if not isinstance(mode, int) or mode < FIX_2D or not isinstance(time, str):
        return None
    try:
        moment = datetime.fromisoformat(time)
        return TimeFix((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), satellites)
    except (ValueError, OverflowError):
        return None
