"""The time from a satellite receiver behind gpsd.

gpsd (https://gpsd.io/gpsd_json.html) serves JSON lines on TCP 2947: after `?WATCH={"enable":true,"json":true}` it
reports TPV objects; `mode` 2 and 3 are fixes, and only then `time` (ISO 8601, UTC, GPS leap seconds applied) is sure.
A report comes about once a second, up to half a second after the instant it names: good enough for a village.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from hardware.ports import HardwareError, TimeFix

CONNECT_S = 2.0
"""Real seconds: gpsd runs on the unit or beside it."""

ANSWER_S = 4.0
"""Real seconds: a receiver reports once a second, a cold one says so as often."""

FIX_2D = 2
MOST_LINES = 50
"""Of other reports before the first with a fix; a receiver that is searching sends a few a second."""

LONGEST_LINE = 65_536
CHUNK_BYTES = 4_096
WATCH = b'?WATCH={"enable":true,"json":true};\n'


class GpsdTime:
    """Asks gpsd; a connection per question, so that a receiver may come and go.

    However slowly something at that port speaks, `read` is back after `connect_s` for each of the host's addresses and
    `answer_s`; only looking up a host's *name* takes as long as the system's resolver does.

    Args:
        host: where gpsd is.
        port: its port.
        real_s: seconds that never step and pass as the world's do.
        connect_s: real seconds for the connection.
        answer_s: real seconds for everything after that.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        real_s: Callable[[], float],
        connect_s: float = CONNECT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._host, self._port = host, port
        self._real_s, self._connect_s, self._answer_s = real_s, connect_s, answer_s

    def read(self) -> TimeFix | None:
        """The time of the next fix; None while the receiver has none.

        Raises:
            HardwareError: gpsd cannot be reached, or it hung up.
        """
        satellites: int | None = None
        try:
            with socket.create_connection((self._host, self._port), timeout=self._connect_s) as connection:
                until_s = self._real_s() + self._answer_s
                connection.settimeout(self._answer_s)
                connection.sendall(WATCH)
                for report in self._reports(connection, until_s):
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

    def _reports(self, connection: socket.socket, until_s: float) -> Iterator[dict[str, Any]]:
        """What gpsd says, line by line, for as long as there is time: each wait is for what is left of it."""
        said, lines = b"", 0
        while (left_s := until_s - self._real_s()) > 0 and len(said) < LONGEST_LINE:
            connection.settimeout(left_s)
            chunk = connection.recv(CHUNK_BYTES)
            if not chunk:
                raise HardwareError("gpsd closed the connection; check its receiver's lead")
            *whole, said = (said + chunk).split(b"\n")
            for line in whole:
                lines += 1
                if lines > MOST_LINES:
                    return
                yield _parse(line)


def _parse(line: bytes) -> dict[str, Any]:
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
