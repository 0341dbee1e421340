"""Two simulated radios on one air, in a thread, with the control file through which they are told to misbehave."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hardware.simulated.meshtastic_radio import run_radios
from kit.clock import AcceleratedClock
from sync.links.meshtastic import MeshtasticLink
from sync.links.port import Arrival, LinkState

SPEED = 400.0
PATIENCE_S = 30.0
"""Real seconds that a busy machine may take for what an idle one does at once."""


class Radios:
    """The radios, and what a test does to them."""

    def __init__(self, directory: Path) -> None:
        self.clock = AcceleratedClock(0.0, time.clock_gettime(time.CLOCK_BOOTTIME), SPEED)
        self.control = directory / "air.json"
        self.faults: dict[str, Any] = {"do": {}}
        self.ports: list[int] = []
        self.links: list[MeshtasticLink] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, region: str = "EU_868") -> None:
        ready = threading.Event()
        self._stop = threading.Event()

        def listening(ports: list[int]) -> None:
            self.ports = ports
            ready.set()

        self._thread = threading.Thread(
            target=run_radios,
            kwargs={
                "ports": self.ports or [0, 0],
                "clock": self.clock,
                "rng": random.Random(5),
                "stop": self._stop,
                "control_file": self.control,
                "region": region,
                "ready": listening,
            },
        )
        self._thread.start()
        assert ready.wait(PATIENCE_S)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def set(self, **faults: Any) -> None:
        """Write the control file; the radios look at it every 50 ms."""
        self.faults |= faults
        temporary = self.control.with_suffix(".new")
        temporary.write_text(json.dumps(self.faults))
        temporary.rename(self.control)
        time.sleep(0.15)

    def do(self, number: int, action: str) -> None:
        counts = self.faults["do"].setdefault(str(number), {})
        counts[action] = counts.get(action, 0) + 1
        self.set()

    def link(self, number: int, **options: Any) -> MeshtasticLink:
        arguments: dict[str, Any] = {"region": "EU_868", "preset": "LONG_FAST", "hop_limit": 3, "clock": self.clock}
        arguments |= options
        link = MeshtasticLink(radio=f"tcp:127.0.0.1:{self.ports[number]}", **arguments)
        self.links.append(link)
        return link

    def open_pair(self) -> tuple[MeshtasticLink, MeshtasticLink]:
        pair = self.link(0), self.link(1)
        for link in pair:
            link.open()
        for link in pair:
            wait_for(partial(is_up, link), what=link.explain())
        return pair


def wait_for(condition: Callable[[], Any], *, seconds: float = PATIENCE_S, what: str = "") -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)
    return result


def is_up(link: MeshtasticLink) -> bool:
    return link.state() is LinkState.UP


def receive_all(link: MeshtasticLink, *, seconds: float = 0.5, until: bytes | None = None) -> list[Arrival]:
    """Everything that comes within that time; `until`: counted from that frame, which has as long as any wait."""
    arrivals: list[Arrival] = []
    patience = time.monotonic() + PATIENCE_S
    while until is not None and until not in [each.frame for each in arrivals] and time.monotonic() < patience:
        arrivals += link.receive(0.05)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        arrivals += link.receive(0.05)
    return arrivals


@pytest.fixture
def radios(tmp_path: Path) -> Iterator[Radios]:
    radios = Radios(tmp_path)
    radios.start()
    yield radios
    for link in radios.links:
        link.close()
    radios.stop()


@pytest.fixture
def wait() -> Callable[..., Any]:
    """`wait(condition, seconds=…, what=…)`."""
    return wait_for


@pytest.fixture
def drain() -> Callable[..., list[Arrival]]:
    """`drain(link, seconds=…, until=…)`: see `receive_all`."""
    return receive_all
