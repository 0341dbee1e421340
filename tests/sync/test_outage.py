"""Three days without any way to the core, then a radio: alerts, messages and the summary go ahead of the readings."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.clock import ManualClock
from kit.collect.batching import Batcher
from kit.collect.ingest import Ingest
from kit.collect.summaries import Summarizer
from kit.model.batch import decode_batch
from kit.model.messages import Published
from kit.model.summary import decode_summary
from kit.store.database import Database
from kit.store.links import LinkRow, put_link
from kit.store.packed_value import KEY_BYTES
from kit.store.schema import MIGRATIONS
from sync.protocol.airtime import frame_airtime_ms
from sync.protocol.frames import LORA_FRAME_BYTES

ROUND_S = 900
ROUNDS = 72 * 3600 // ROUND_S
SENSORS = 4


def say(database: Database, clock: ManualClock, step: int, chance: random.Random) -> None:
    """A round of all sensors: the temperature of the air where each stands."""
    messages = []
    for sensor in range(SENSORS):
        value = round(6 - 5 * math.cos(step / 96 * 2 * math.pi) + sensor / 2 + chance.gauss(0, 0.2), 1)
        record = {"n": "temperature", "u": "Cel", "v": value, "t": clock.now()}
        messages.append(
            Published(
                username=f"field-{sensor}",
                client_id="c",
                topic=f"sensors/field-{sensor}",
                payload=json.dumps([record]).encode(),
                qos=1,
                retain=False,
                duplicate=False,
                packet_id=1,
                received_ms=int(clock.now() * 1000),
            )
        )
    with database.atomic() as connection:
        Ingest(clock)(connection, messages)


def show_radio(database: Database, clock: ManualClock, *, heard: bool) -> None:
    now_ms = int(clock.now() * 1000)
    row = LinkRow(
        name="lora",
        state="up",
        explain="",
        lowest_priority=4,
        last_heard_ms=now_ms if heard else None,
        last_sent_ms=None,
        airtime_left_ms=None,
        updated_ms=now_ms,
    )
    with database.atomic() as connection:
        put_link(connection, row)


def test_after_three_days_the_alerts_go_first_and_the_summary_of_1152_readings_takes_under_20_s_of_air(
    make_world: Any, tmp_path: Path
) -> None:
    world = make_world()
    world.kit.links[0].plugged = False
    clock, chance = world.clock, random.Random(3)
    with Database(tmp_path / "world-0" / "kit-orchard.db", migrations=MIGRATIONS) as database:
        batcher, summarizer = Batcher(database, clock), Summarizer(database, clock)
        summarizer.step()
        show_radio(database, clock, heard=False)
        for step in range(ROUNDS):
            say(database, clock, step, chance)
            clock.advance(ROUND_S)
            batcher.step()
            summarizer.step()
        for number in range(40):
            world.kit.write("message", priority=2, body=chance.randbytes(60 + number % 5))
        for _ in range(3):
            world.kit.write("alert", priority=0, body=chance.randbytes(130))
        show_radio(database, clock, heard=True)
        while summarizer.step() < 10:
            pass
    world.kit.links[0].plugged = True
    begun = len(world.air.log)
    world.live(6 * 3600.0, until=arrived(world, "alert", 3))
    assert not world.core.rows("kind = 'readings' OR kind = 'summary'")
    world.live(6 * 3600.0, until=lambda: world.kit.waiting == 0)

    summaries = [decode_summary(bytes(row["body"])) for row in world.core.rows("kind = 'summary'")]
    assert sum(hour.count for hours in summaries for hour in hours) >= SENSORS * (ROUNDS - 4)
    readings = [each for row in world.core.rows("kind = 'readings'") for each in decode_batch(bytes(row["body"]))]
    assert len(readings) + still_waiting(world) == SENSORS * ROUNDS
    order = [row["kind"] for row in world.core.rows("taken_ms IS NOT NULL")]
    assert order.index("readings") > max(at for at, kind in enumerate(order) if kind == "summary")
    air_ms = sum(
        frame_airtime_ms(len(frame), "LONG_FAST")
        for _, address, priority, frame in world.air.log[begun:]
        if priority == 3 and address == "!kit-orchard"
    )
    # one more frame: the first bytes of the summary may ride in the last one of the messages
    assert 0 < air_ms + frame_airtime_ms(LORA_FRAME_BYTES, "LONG_FAST") <= 20_000


def arrived(world: Any, kind: str, count: int) -> Callable[[], bool]:
    return lambda: len(world.core.rows(f"kind = '{kind}'")) >= count


def still_waiting(world: Any) -> int:
    """Readings that are in no record yet: the batch that is not full."""
    (waiting,) = world.kit.database.connection.execute("SELECT coalesce(sum(length(keys)), 0) FROM unsynced").fetchone()
    return int(waiting) // KEY_BYTES
