"""Two LXMF processes, and between them an air that carries each packet for as long as an RNode would.

An RNode takes packets of up to 508 bytes and sends them in LoRa packets of at most 254 bytes and a header byte, without
the overhead of a mesh. The air never collides, which is kinder to LXMF than to those who are simulated wholly.
"""

from __future__ import annotations

import json
import queue
import random
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fates import Fate

from sync.protocol.airtime import phy_airtime_ms

RNODE_PACKET_BYTES = 254
BITS_PER_S = {"SHORT_FAST": 10_937, "LONG_FAST": 1_074}
"""SF × bandwidth ÷ 2^SF × coding rate, as an RNode tells Reticulum."""

KNOWN_WITHIN_S = 300.0
TRAILING_S = 3.0
"""What is still said once the last message is known or given up counts, too."""


def _free_ports() -> Iterator[int]:
    """Below those that the system hands out, so that nobody else takes one before its process has started."""
    for port in range(20_000, 32_000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


_FREE_PORTS = _free_ports()


class UdpAir:
    """Carries datagrams between two ports as a LoRa channel would: one at a time, for as long as it takes."""

    def __init__(self, preset: str, loss: float, seed: int) -> None:
        self._rng, self.loss, self._final_loss = random.Random(seed), 0.0, loss
        self._preset = preset
        self.ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in self.ends:
            end.bind(("127.0.0.1", 0))
        self.listens = [next(_FREE_PORTS) for _ in self.ends]
        self.airtime_s = 0.0
        self.stop = threading.Event()

    def begin_losing(self) -> None:
        """From now on."""
        self.loss = self._final_loss

    def run(self) -> None:
        """Until `stop`."""
        while not self.stop.is_set():
            ready, _, _ = select.select(self.ends, [], [], 0.1)
            for end in ready:
                self._carry(end, end.recv(2048))
        for end in self.ends:
            end.close()

    def _carry(self, end: socket.socket, packet: bytes) -> None:
        sizes = [len(packet[at : at + RNODE_PACKET_BYTES]) for at in range(0, len(packet), RNODE_PACKET_BYTES)]
        airtime_s = sum(phy_airtime_ms(size + 1, self._preset) for size in sizes) / 1000
        self.airtime_s += airtime_s
        time.sleep(airtime_s)
        if all([self._rng.random() >= self.loss for _ in sizes]):  # noqa: C419 - each packet is a draw, lost or not
            other = 1 - self.ends.index(end)
            self.ends[other].sendto(packet, ("127.0.0.1", self.listens[other]))


class LxmfEnd:
    """A process that speaks LXMF."""

    def __init__(self, python: str, role: str, home: Path, air: UdpAir, preset: str) -> None:
        number = 1 if role == "hear" else 0
        script = Path(__file__).with_name("lxmf_end.py")
        ports = (str(air.listens[number]), str(air.ends[number].getsockname()[1]))
        self.process = subprocess.Popen(
            [python, str(script), role, str(home), *ports, str(BITS_PER_S[preset])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.told.put(json.loads(line))

    def type(self, line: str) -> None:
        """To its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, key: str, seconds: float) -> dict[str, Any] | None:
        """The next thing it says with that key."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                told = self.told.get(timeout=left)
            except queue.Empty:
                return None
            if key in told:
                return told
        return None

    def end(self) -> None:
        """Of the process."""
        self.process.kill()
        self.process.wait()


class LxmfPair:
    """A conversation that has begun: announced, and greeted over an air that loses nothing yet.

    Args:
        python: that has `rns` and `lxmf`.
        home: an empty directory.
        method: direct (over a link of Reticulum's) or opportunistic (single packets).
        preset: of the air.
        loss: of each LoRa packet, once it begins.
        seed: of the losses.
    """

    def __init__(self, python: str, home: Path, *, method: str, preset: str, loss: float, seed: int) -> None:
        self.air = UdpAir(preset, loss, seed)
        threading.Thread(target=self.air.run, daemon=True).start()
        self.hearing = LxmfEnd(python, "hear", home / "hear", self.air, preset)
        self.saying = LxmfEnd(python, method, home / "say", self.air, preset)

    def meet(self) -> None:
        """One announces, the other greets."""
        for end in (self.hearing, self.saying):
            assert end.wait_for("ready", 120), "LXMF does not start"
        for _ in range(5):
            self.hearing.type("announce")
            if self.saying.wait_for("found", 12):
                break
        self.saying.type("greeting Good morning")
        greeted = self.saying.wait_for("known", KNOWN_WITHIN_S)
        assert greeted is not None
        assert greeted["delivered"], "LXMF does not deliver over an air that loses nothing"
        self.hearing.wait_for("heard", 1.0)
        time.sleep(TRAILING_S)

    def send(self, texts: Sequence[str]) -> list[Fate]:
        """One message after the other, each once the one before was delivered or given up."""
        self.air.begin_losing()
        said: dict[str, float] = {}
        heard: dict[str, float] = {}
        marks: list[float] = []
        for number, text in enumerate(texts):
            name = f"{number:08}"
            marks.append(self.air.airtime_s)
            self.saying.type(name + text[len(name) :])
            told = self.saying.wait_for("said", KNOWN_WITHIN_S)
            assert told is not None
            said[name] = float(told["at"])
            assert self.saying.wait_for("known", KNOWN_WITHIN_S) is not None
            time.sleep(TRAILING_S)
            while (came := self.hearing.wait_for("heard", 0.01)) is not None:
                heard.setdefault(str(came["heard"]), float(came["at"]))
        marks.append(self.air.airtime_s)
        return [
            Fate(heard[name] - at if name in heard else None, marks[number + 1] - marks[number])
            for number, (name, at) in enumerate(said.items())
        ]

    def end(self) -> None:
        """Of both processes and the air."""
        self.air.stop.set()
        self.saying.end()
        self.hearing.end()
