"""A satellite receiver that says what a file tells it to, or gpsd's words over a real socket.

The file is `{"booted_at_s": 1790000000}` (the true Unix time at which this machine started), `{"fix": false}` while it
searches, `{"broken": true}` for a lead that is off. No file: it searches.
"""

from __future__ import annotations

import json
import socketserver
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hardware.ports import HardwareClock, HardwareError, TimeFix


class SimulatedGps:
    """See the module."""

    def __init__(self, file: Path, clock: HardwareClock) -> None:
        self._file = file
        self._clock = clock

    def read(self) -> TimeFix | None:
        """As the file says."""
        told = self._told()
        if told.get("broken"):
            raise HardwareError("the satellite receiver does not answer (simulated); check its lead")
        if not told.get("fix", True) or "booted_at_s" not in told:
            return None
        return TimeFix(float(told["booted_at_s"]) + self._clock.monotonic(), satellites=8)

    def _told(self) -> dict[str, Any]:
        try:
            told = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {"fix": False}
        return told if isinstance(told, dict) else {"fix": False}


class SimulatedGpsd:
    """gpsd with one receiver, on a free port of this machine; a context manager.

    Args:
        unix_s: the time it reports; None = it has no fix.
    """

    def __init__(self, unix_s: float | None) -> None:
        self.unix_s = unix_s
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.gps = self

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    gps: SimulatedGpsd


class _Answer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Gpsd's greeting, then reports as soon as they are asked for."""
        assert isinstance(self.server, _Server)
        unix_s = self.server.gps.unix_s
        self._say({"class": "VERSION", "release": "3.25", "proto_major": 3, "proto_minor": 15})
        if not self.rfile.readline().startswith(b"?WATCH="):
            return
        self._say({"class": "DEVICES", "devices": [{"class": "DEVICE", "path": "/dev/ttyACM0"}]})
        self._say({"class": "SKY", "device": "/dev/ttyACM0", "uSat": 7, "nSat": 11})
        report: dict[str, Any] = {"class": "TPV", "device": "/dev/ttyACM0", "mode": 1}
        if unix_s is not None:
            at = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            report |= {"mode": 3, "time": at, "lat": -0.37, "lon": 36.32}
        self._say(report)

    def _say(self, report: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(report).encode() + b"\n")
