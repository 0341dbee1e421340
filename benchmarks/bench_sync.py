"""Sync over LoRa and cellular: goodput, what a message costs, how long it takes, and what it costs to say nothing.

All that goes by radio is in virtual time: two real engines with real SQLite stores, and between them the shipped
simulated air with its contention, half duplex and collisions (`benchmarks/sync_world.py`).

**Capacity** is measured in the same run and on the same air: one radio sends 214-byte frames back to back, as fast as
its firmware lets it (listen before talk with Meshtastic's contention window, which on a busy channel waits about half
a LongFast frame between two), to one that only listens, with nothing lost. Capacity is 214 bytes, the whole frame as it
is handed to the radio and not what a seal leaves of it, times the frames per second. Goodput is bytes of record bodies
committed at the core per second, from the first frame to the last commit, acknowledgements and retransmissions
included; it is given as a share of capacity × (1 − loss).

    .venv/bin/python benchmarks/bench_sync.py [goodput] [message] [idle] [backlog] [cellular]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from meshtastic.protobuf import mesh_pb2
from sync_idle import asking_over_cellular
from sync_scale import behind_a_backlog, over_cellular
from sync_world import AirWorld, air_world

from hardware.simulated.air import Air, Timetable, Tuning
from hardware.simulated.radio_mac import BROADCAST, RadioMac
from kit.model.letters import letter_body, make_letter
from sync.links.radio_arrivals import PRIVATE_APP
from sync.protocol.frames import LORA_FRAME_BYTES

PRESETS = ("SHORT_FAST", "LONG_FAST")
LOSSES = (0.0, 0.2, 0.4)
DAY_S = 86_400.0
PARTS, PART_BYTES = 16, 30_000


def capacity_bytes_per_s(preset: str, *, frames: int = 2000) -> float:
    """What one radio can put on the air, back to back, once its firmware knows how busy the channel is."""
    rng = random.Random(1)
    air = Air(timetable=Timetable(), rng=rng)
    sender, hearer = (
        RadioMac(number=number, node=1 + number, air=air, tuning=Tuning("US", preset), rng=rng) for number in range(2)
    )
    came: list[object] = []
    hearer.to_client = came.append
    for station in (sender, hearer):
        air.join(station)
    now_s, before, since_s = 0.0, 0, 0.0
    while not before or len(came) < before + frames:
        if not before and now_s > 60.0:
            before, since_s = len(came), now_s
        while sender.free_slots > 8:
            packet = mesh_pb2.MeshPacket(to=BROADCAST, id=rng.randrange(1, 2**32), hop_limit=3)
            packet.decoded.portnum = PRIVATE_APP
            packet.decoded.payload = rng.randbytes(LORA_FRAME_BYTES)
            sender.submit(packet, now_s)
        now_s = air.timetable.wake_at() or now_s
        air.timetable.run_until(now_s)
    return frames * LORA_FRAME_BYTES / (now_s - since_s)


def goodput(home: Path) -> None:
    """Eight records of 30 kB, as an app cuts a lesson or a photo."""
    print("\ngoodput of a long transfer, and as a share of capacity × (1 − loss)")
    for preset in PRESETS:
        capacity = capacity_bytes_per_s(preset)
        print(f"  {preset}: capacity {capacity:.0f} B/s")
        for loss in LOSSES:
            with air_world(home / f"{preset}-{loss}", preset=preset, loss=loss) as world:
                settle(world)
                rng, start = random.Random(2), world.air.collisions
                for _ in range(PARTS):
                    world.kit.write(world.clock, body=rng.randbytes(PART_BYTES), kind="file", priority=4)
                took_s = world.live(DAY_S, until=partial(all_there, world))
                rate = PARTS * PART_BYTES / took_s
                print(
                    f"    loss {loss:4.0%}: {rate:6.1f} B/s  {rate / capacity / (1 - loss):6.1%}   "
                    f"kit {len(world.kit.link.frames)} frames, core {len(world.core.link.frames)}, "
                    f"{world.air.collisions - start} collisions"
                )


def all_there(world: AirWorld) -> bool:
    """Whether the core has committed every part."""
    return world.core.taken == PARTS


def settle(world: AirWorld) -> None:
    """A minute in which both sides greet."""
    world.live(120.0 if world.step_s > 0.1 else 30.0)


def backlog(home: Path) -> None:
    """An alert behind a thousand records, and behind a hundred thousand; what both cost to hold and to start with."""
    print("\na kit that starts with a backlog, and an alert written behind it: ms until it is in a frame")
    for count in (1_000, 100_000):
        told = behind_a_backlog(home / str(count), count)
        print(
            f"  {count:7,} queued: start {told['start_s']:.2f} s, memory {told['rss_mib']:.1f} MiB (at most "
            f"{told['peak_mib']:.1f}); median {told['median_ms']:.1f} ms, worst of 20 {told['worst_ms']:.1f}"
        )


def cellular(home: Path) -> None:
    """Thirty thousand records over loopback cellular, committed with FULL at both ends."""
    rate, bare = over_cellular(home, 30_000)
    print(f"\nover cellular: {rate:,.0f} records/s; bare executemany {bare:,.0f} rows/s: {rate / bare:.0%}")
    asked = asking_over_cellular(home / "idle")
    print(f"  to ask whether anything has changed, and the answer: {asked} bytes on the wire")


TEXTS = (
    (
        "The clinic needs more water tonight, and the road by the lower bridge is blocked by stones"
        ". Please send two men with spades before sunrise. "
    ),
    (
        "Tafadhali leteni dawa ya homa kwa watoto wawili kesho asubuhi, barabara ya mto imefungwa n"
        "a mawe. Tunahitaji watu wanne na majembe. Ahsante "
    ),
    (
        "Meeting about the new pump is on Thursday at 5 pm in the school. Bring the list of househo"
        "lds that have paid and the keys of both stores Jo."
    ),
)
"""Of 140 characters; as in real life some are words that the dictionary has and some are not."""


def message(home: Path) -> None:
    """What a person's message costs and how long it takes, alone on the air, in a conversation that has begun."""
    print("\na message of 140 characters: bytes of frames handed to the radios, its acknowledgement included; seconds")
    for preset in PRESETS:
        for loss in LOSSES:
            runs = [one_message(home / f"{preset}-{loss}-{seed}", preset, loss, seed) for seed in range(21)]
            sizes, arrived, known = zip(*runs, strict=True)
            print(
                f"  {preset:10} loss {loss:4.0%}: {statistics.median(sizes):.0f} bytes, committed at the core after "
                f"{statistics.median(arrived):.2f} s, the kit knows after {statistics.median(known):.2f} s"
            )


def one_message(home: Path, preset: str, loss: float, seed: int) -> tuple[int, float, float]:
    """Bytes, seconds to the commit, seconds to the acknowledgement."""
    with air_world(home, preset=preset, loss=0.0, seed=seed) as world:
        settle(world)
        world.kit.write(world.clock, body=letter("Good morning"), kind="message", priority=2)
        world.live(120.0, until=lambda: world.kit.waiting == 0)
        settle(world)
        world.air.faults.loss = loss
        before, start_s = bytes_sent(world), world.clock.monotonic()
        world.kit.write(
            world.clock, body=letter(f"{TEXTS[seed % 3]:!<140}"), kind="message", priority=2, lifetime_s=604_800
        )
        arrived_s = world.live(3600.0, until=lambda: world.core.taken == 2)
        world.live(3600.0, until=lambda: world.kit.waiting == 0)
        return bytes_sent(world) - before, arrived_s, world.clock.monotonic() - start_s


def letter(text: str) -> bytes:
    """The body of a message record, with its author."""
    return letter_body(make_letter(text, "Amina"))


def bytes_sent(world: AirWorld) -> int:
    """Of frames handed to either radio."""
    return sum(world.kit.link.frames) + sum(world.core.link.frames)


def idle(home: Path) -> None:
    """Two days in which nobody has anything to say, after a day."""
    print("\nnothing to say: airtime of both radios as a share of a 1 % duty cycle; it may be 1 %")
    for preset in PRESETS:
        with air_world(home / preset, preset=preset, loss=0.0) as world:
            world.step_s = 5.0
            world.live(DAY_S)
            radios = (world.kit.link, world.core.link)
            before_s, before = sum(each.airtime_s for each in radios), bytes_sent(world)
            world.live(2 * DAY_S)
            share = (sum(each.airtime_s for each in radios) - before_s) / (2 * DAY_S) / 0.01
            print(f"  {preset:10}: {share:.2%}, {(bytes_sent(world) - before) / 48:.1f} bytes an hour")


PARTS_OF_THE_RUN: dict[str, Callable[[Path], None]] = {
    "goodput": goodput,
    "message": message,
    "idle": idle,
    "backlog": backlog,
    "cellular": cellular,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS_OF_THE_RUN, []], help="which; all if none is named")
    asked = parser.parse_args().parts or list(PARTS_OF_THE_RUN)
    for part in asked:
        with tempfile.TemporaryDirectory() as home:
            PARTS_OF_THE_RUN[part](Path(home))


if __name__ == "__main__":
    main()
