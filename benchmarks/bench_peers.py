"""A message of 140 characters over one LoRa hop (ShortFast) as more and more is lost: this kit, LXMF, bare Meshtastic.

The same air for all: time on air after AN1200.13, half duplex, and each LoRa packet lost with the same probability.
The kit and Meshtastic (a direct message with its own acknowledgement, three transmissions) run in virtual time on the
shipped simulated radios. LXMF runs in real time, its own code in its own environment: two Reticulum instances over UDP,
and between them this process, which carries each packet for as long as an RNode would (packets of up to 508 bytes in
LoRa packets of at most 254 bytes and a header byte, no mesh overhead). Announces are not counted.

    python -m venv /tmp/lxmf && /tmp/lxmf/bin/pip install rns lxmf
    .venv/bin/python benchmarks/bench_peers.py --lxmf /tmp/lxmf/bin/python [--svg docs/pictures/sync-over-loss.svg]
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import select
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_sync import TEXTS, letter, settle
from loss_plot import draw
from meshtastic.protobuf import mesh_pb2, portnums_pb2
from sync_world import air_world

from hardware.simulated.air import Air, Timetable, Tuning
from hardware.simulated.radio_mac import RadioMac
from sync.protocol.airtime import phy_airtime_ms

PRESET = "SHORT_FAST"
LOSSES = (0.0, 0.2, 0.4, 0.6)
RNODE_PACKET_BYTES = 254
GIVEN_UP_S = 600.0


@dataclass(frozen=True)
class Fate:
    """What became of one message."""

    arrived_s: float | None
    airtime_s: float


@dataclass(frozen=True)
class Point:
    """At one loss rate: how many arrived, the median time of those, and the mean airtime of all."""

    loss: float
    delivered: float
    median_s: float | None
    airtime_s: float


def point(loss: float, fates: Sequence[Fate]) -> Point:
    """The sum of some fates."""
    came = [fate.arrived_s for fate in fates if fate.arrived_s is not None]
    return Point(
        loss,
        len(came) / len(fates),
        statistics.median(came) if came else None,
        statistics.mean(fate.airtime_s for fate in fates),
    )


def kit(home: Path, loss: float, seed: int) -> Fate:
    """One message in a conversation that has begun."""
    with air_world(home / f"kit-{loss}-{seed}", preset=PRESET, loss=0.0, seed=seed) as world:
        settle(world)
        world.kit.write(world.clock, body=letter("Good morning"), kind="message", priority=2)
        world.live(60.0, until=lambda: world.kit.waiting == 0)
        settle(world)
        world.air.faults.loss = loss
        radios = (world.kit.link, world.core.link)
        before_s = sum(each.airtime_s for each in radios)
        world.kit.write(world.clock, body=letter(TEXTS[seed % 3]), kind="message", priority=2)
        arrived_s = world.live(GIVEN_UP_S, until=lambda: world.core.taken == 2)
        came = world.core.taken == 2
        world.live(GIVEN_UP_S, until=lambda: world.kit.waiting == 0)
        return Fate(arrived_s if came else None, sum(each.airtime_s for each in radios) - before_s)


def meshtastic(home: Path, loss: float, seed: int) -> Fate:
    """One direct text message with want_ack between two radios."""
    del home
    rng = random.Random(seed)
    air = Air(timetable=Timetable(), rng=rng)
    air.faults.loss = loss
    tuning = Tuning("US", PRESET)
    sender, hearer = (RadioMac(number=n, node=100 + n, air=air, tuning=tuning, rng=rng) for n in range(2))
    came: list[float] = []
    hearer.to_client = lambda packet: came.append(packet.rx_time) if packet.decoded.portnum == 1 else None
    for station in (sender, hearer):
        air.join(station)
    packet = mesh_pb2.MeshPacket(to=hearer.node, id=7, hop_limit=3, want_ack=True)
    packet.decoded.portnum = portnums_pb2.PortNum.TEXT_MESSAGE_APP
    packet.decoded.payload = TEXTS[seed % 3].encode()
    sender.submit(packet, 0.0)
    arrived_s: float | None = None
    while (at_s := air.timetable.wake_at()) is not None:
        air.timetable.run_until(at_s)
        arrived_s = at_s if came and arrived_s is None else arrived_s
    spent = [airtime_s for radio in (sender, hearer) for _, airtime_s in radio._spent]  # noqa: SLF001 - its own ledger
    return Fate(arrived_s, sum(spent))


class UdpAir:
    """Carries datagrams between two ports as a LoRa channel would: one at a time, for as long as it takes."""

    def __init__(self, loss: float, seed: int) -> None:
        self._rng, self.loss, self._final_loss = random.Random(seed), 0.0, loss
        self.ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in self.ends:
            end.bind(("127.0.0.1", 0))
        self.listens: list[int] = []
        for _ in self.ends:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                taken.bind(("127.0.0.1", 0))
                self.listens.append(int(taken.getsockname()[1]))
        self.airtime_s = 0.0
        self.stop = threading.Event()

    def begin_losing(self) -> None:
        """From now on."""
        self.loss = self._final_loss

    def run(self) -> None:
        """Until `stop`."""
        while not self.stop.is_set():
            ready, _, _ = select.select(self.ends, [], [], 0.05)
            for end in ready:
                self._carry(end, end.recv(2048))

    def _carry(self, end: socket.socket, packet: bytes) -> None:
        sizes = [len(packet[at : at + RNODE_PACKET_BYTES]) for at in range(0, len(packet), RNODE_PACKET_BYTES)]
        airtime_s = sum(phy_airtime_ms(size + 1, PRESET) for size in sizes) / 1000
        self.airtime_s += airtime_s
        time.sleep(airtime_s)
        if all(self._rng.random() >= self.loss for _ in sizes):
            other = 1 - self.ends.index(end)
            self.ends[other].sendto(packet, ("127.0.0.1", self.listens[other]))


class LxmfEnd:
    """A process that speaks LXMF."""

    def __init__(self, python: str, role: str, home: Path, air: UdpAir, *messages: str) -> None:
        number = 0 if role == "say" else 1
        script = Path(__file__).with_name("lxmf_end.py")
        ports = (str(air.listens[number]), str(air.ends[number].getsockname()[1]))
        self.process = subprocess.Popen(
            [python, str(script), role, str(home), *ports, *messages],
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


def lxmf(python: str, home: Path, loss: float, count: int) -> list[Fate]:
    """So many messages, one after the other."""
    air = UdpAir(loss, seed=int(loss * 100))
    threading.Thread(target=air.run, daemon=True).start()
    hearing = LxmfEnd(python, "hear", home / "hear", air)
    saying = LxmfEnd(python, "say", home / "say", air, *[TEXTS[number % 3] for number in range(count)])
    try:
        for end in (hearing, saying):
            assert end.wait_for("ready", 30), "LXMF does not start"
        for _ in range(5):
            hearing.type("announce")
            if saying.wait_for("found", 6):
                break
        time.sleep(1.0)
        air.begin_losing()
        fates = []
        saying.type("go")
        for _ in range(count):
            said, before_s = saying.wait_for("said", 120), air.airtime_s
            known = saying.wait_for("known", 120)
            assert said is not None
            assert known is not None
            heard = hearing.wait_for("heard", 0.5)
            fates.append(Fate(heard["at"] - said["at"] if heard else None, air.airtime_s - before_s))
        return fates
    finally:
        air.stop.set()
        for end in (saying, hearing):
            end.process.kill()
            end.process.wait()


def all_of(python: str | None, home: Path, *, messages: int) -> dict[str, list[Point]]:
    """Every peer at every loss rate; LXMF's rates side by side, because its clock is real."""
    told: dict[str, list[Point]] = {}
    virtual: dict[str, Callable[[Path, float, int], Fate]] = {"this kit": kit, "Meshtastic, want_ack": meshtastic}
    for name, run in virtual.items():
        told[name] = [point(loss, [run(home, loss, seed) for seed in range(9)]) for loss in LOSSES]
    if python is not None:
        came: dict[float, list[Fate]] = {}

        def one(loss: float) -> None:
            came[loss] = lxmf(python, home / f"lxmf-{loss}", loss, messages)

        threads = [threading.Thread(target=one, args=(loss,)) for loss in LOSSES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told["LXMF over Reticulum"] = [point(loss, came[loss]) for loss in LOSSES if loss in came]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lxmf", metavar="PYTHON", help="a Python that has rns and lxmf; without it they are left out")
    parser.add_argument("--messages", type=int, default=9, help="that LXMF sends at each loss rate")
    parser.add_argument("--svg", type=Path, help="where to draw the plot")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        told = all_of(asked.lxmf, Path(home), messages=asked.messages)
    for name, points in told.items():
        for each in points:
            took = "never" if each.median_s is None else f"{each.median_s:6.2f} s"
            cost = f"{each.airtime_s:5.2f} s of air"
            print(f"{name:22} loss {each.loss:4.0%}: {each.delivered:4.0%} arrive, {took}, {cost}")
    if asked.svg is not None:
        asked.svg.write_text(draw(told), encoding="utf-8")


if __name__ == "__main__":
    main()
