"""A message of 140 characters over one LoRa hop (ShortFast) as more and more is lost: this kit, LXMF, bare Meshtastic.

The same air for all: time on air after AN1200.13, half duplex, and each LoRa packet lost with the same probability.
The kit and Meshtastic (a direct message with its own acknowledgement, three transmissions) run in virtual time on the
shipped simulated radios. LXMF runs in real time, its own code in its own environment: two Reticulum instances over UDP,
and between them an air that carries each packet for as long as an RNode would (`lxmf_pair.py`), once over a direct link
and once with single packets. With each, the conversation has begun before the losses do; everything that is on the
air until the sender knows, and a while longer, is counted. All send the same texts in turn.

Then what a message and a hundred readings become at NNCP and in a BPv7 bundle (`stored_peers.py`). What is not
installed is left out with a sentence.

    python -m venv DIRECTORY && DIRECTORY/bin/pip install rns lxmf
    .venv/bin/python benchmarks/bench_peers.py --lxmf DIRECTORY/bin/python [--svg docs/pictures/sync-over-loss.svg]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import stored_peers
from bench_sync import TEXTS, letter, settle
from fates import Fate, Point, more_than, point
from loss_plot import draw
from lxmf_pair import LxmfPair
from meshtastic.protobuf import mesh_pb2, portnums_pb2
from sync_world import air_world

from hardware.simulated.air import Air, Timetable, Tuning
from hardware.simulated.radio_mac import RadioMac

PRESET = "SHORT_FAST"
LOSSES = (0.0, 0.2, 0.4, 0.6)
GIVEN_UP_S = 600.0
TRAILING_S = 60.0
PAIRS = 4
"""So many pairs of LXMF processes share the messages of a loss rate; they sleep nearly all the time."""

OURS = "this kit"
METHODS = {"direct": "LXMF, direct link", "opportunistic": "LXMF, single packets"}

Job = Callable[[], None]


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
        world.live(TRAILING_S)
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


def lxmf_jobs(python: str, home: Path, *, count: int, into: dict[tuple[str, float], dict[int, Fate]]) -> list[Job]:
    """For each method and loss rate some pairs, which share the messages and know nothing of each other."""

    def job(pair: LxmfPair, mine: Sequence[int], fates: dict[int, Fate]) -> None:
        try:
            pair.meet()
            fates.update(zip(mine, pair.send([TEXTS[each % 3] for each in mine]), strict=True))
        finally:
            pair.end()

    jobs: list[Job] = []
    for method in METHODS:
        for loss in LOSSES:
            for number in range(min(PAIRS, count)):
                seed = round(loss * 100) * PAIRS + number
                at = home / f"{method}-{loss}-{number}"
                pair = LxmfPair(python, at, method=method, preset=PRESET, loss=loss, seed=seed)
                fates = into.setdefault((method, loss), {})
                jobs.append(partial(job, pair, range(number, count, PAIRS), fates))
    return jobs


def in_threads(jobs: Sequence[Job]) -> None:
    """Side by side, to the end of all."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def all_of(python: str | None, home: Path, *, messages: int, virtual_messages: int) -> dict[str, list[Point]]:
    """Every peer at every loss rate; LXMF's rates and methods side by side, because its clock is real."""
    told: dict[str, list[Point]] = {}
    virtual: dict[str, Callable[[Path, float, int], Fate]] = {OURS: kit, "Meshtastic, want_ack": meshtastic}
    for name, run in virtual.items():
        told[name] = [point(loss, [run(home, loss, seed) for seed in range(virtual_messages)]) for loss in LOSSES]
    if python is None:
        return told
    came: dict[tuple[str, float], dict[int, Fate]] = {}
    in_threads(lxmf_jobs(python, home, count=messages, into=came))
    for method, name in METHODS.items():
        for loss in LOSSES:
            tried = len(came[method, loss])
            assert tried == messages, f"{name} at {loss:.0%}: only {tried} of {messages} messages were tried"
        told[name] = [point(loss, list(came[method, loss].values())) for loss in LOSSES]
    return told


def lines_of(told: dict[str, list[Point]]) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| lost | by | arrive | median | airtime, mean ± sd | 95 % of means | more than this kit |"
    yield "|---|---|---|---|---|---|---|"
    for number, loss in enumerate(LOSSES):
        for name, points in told.items():
            each = points[number]
            took = "never" if each.median_s is None else f"{each.median_s:.2f} s"
            low_s, high_s = each.interval_s
            more_s, (least_s, most_s) = more_than(told[OURS][number], each)
            more = "" if name == OURS else f"{more_s:+.2f} s ({least_s:+.2f} to {most_s:+.2f})"
            yield (
                f"| {loss:.0%} | {name} | {each.delivered:.0%} | {took} | {each.airtime_s:.2f} ± {each.spread_s:.2f} s "
                f"| {low_s:.2f} to {high_s:.2f} s | {more} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lxmf", metavar="PYTHON", help="a Python that has rns and lxmf; without it they are left out")
    parser.add_argument("--messages", type=int, default=20, help="that LXMF sends at each loss rate, in real time")
    parser.add_argument("--virtual", type=int, default=200, help="that the others send, in virtual time")
    parser.add_argument("--svg", type=Path, help="where to draw the plot")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        stored = stored_peers.carried_by_all(Path(home) / "stored")
        told = all_of(asked.lxmf, Path(home), messages=asked.messages, virtual_messages=asked.virtual)
    print(f"a message of 140 characters over one hop in {PRESET}, at each loss rate {asked.messages} by LXMF and")
    print(f"{asked.virtual} by the others\n")
    for line in (*lines_of(told), *stored_peers.lines_of(stored)):
        print(line)
    no_lxmf = [] if asked.lxmf else ["LXMF is left out: name a Python that has rns and lxmf (--lxmf)"]
    for sentence in (*no_lxmf, *stored_peers.missing()):
        print(sentence)
    if asked.svg is not None:
        asked.svg.write_text(draw(told, stored), encoding="utf-8")


if __name__ == "__main__":
    main()
