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
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from meshtastic.protobuf import mesh_pb2
from sync_world import AirWorld, air_world

from hardware.simulated.air import Air, Timetable, Tuning
from hardware.simulated.radio_mac import BROADCAST, RadioMac
from sync.links.meshtastic import PRIVATE_APP
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


PARTS_OF_THE_RUN: dict[str, Callable[[Path], None]] = {"goodput": goodput}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS_OF_THE_RUN, []], help="which; all if none is named")
    asked = parser.parse_args().parts or list(PARTS_OF_THE_RUN)
    for part in asked:
        with tempfile.TemporaryDirectory() as home:
            PARTS_OF_THE_RUN[part](Path(home))


if __name__ == "__main__":
    main()
