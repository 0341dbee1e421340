"""Which link carries what; and a link that misbehaves."""

from __future__ import annotations

import threading
from typing import Any

from kit.clock import AcceleratedClock, SystemClock
from sync.links.port import LinkState

HOUR_S = 3600.0


def carried(medium: Any, who: str = "kit") -> list[int]:
    """The priorities of the frames that unit sent by that medium."""
    return [priority for _, address, priority, _ in medium.log if who in address]


def test_cellular_is_preferred_while_it_is_up_and_an_alert_goes_over_both(make_world: Any) -> None:
    world = make_world(cellular=True)
    for priority in range(6):
        world.kit.write(priority=priority, body=world.rng.randbytes(150))
    world.live(120, until=lambda: world.kit.waiting == 0)
    radio = [len(frame) for _, who, _, frame in world.air.log if "kit" in who]
    assert carried(world.air).count(0) == 1
    assert sum(size > 100 for size in radio) == 1
    assert [seq for seq, _ in world.core.taken] == [1, 2, 3, 4, 5, 6]


def test_without_cellular_the_radio_carries_what_it_may_and_bulk_waits(make_world: Any) -> None:
    world = make_world(cellular=True)
    world.kit.links[1].plugged = False
    for priority in range(6):
        world.kit.write(priority=priority, body=world.rng.randbytes(150))
    world.live(600)
    assert [row["priority"] for row in world.kit.rows("pending = 1")] == [5]
    world.kit.links[1].plugged = True
    world.live(60, until=lambda: world.kit.waiting == 0)
    assert world.kit.waiting == 0


def test_a_link_that_takes_everything_and_answers_nothing_does_not_keep_the_radio_idle(make_world: Any) -> None:
    world = make_world(cellular=True)
    world.live(60)
    world.cell.faults.loss = 1.0
    world.kit.write("message", priority=2)
    took = world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert took < 300
    world.cell.faults.loss = 0.0
    world.live(600)
    before = len(world.cell.log)
    world.kit.write("message", priority=2)
    world.live(60, until=lambda: world.kit.waiting == 0)
    assert 2 in carried(world.cell)[0:]
    assert len(world.cell.log) > before


def test_what_was_accepted_over_one_link_is_not_sent_over_another(make_world: Any) -> None:
    world = make_world(cellular=True)
    world.kit.links[1].plugged = False
    world.kit.write(body=world.rng.randbytes(150))
    world.live(120, until=lambda: world.kit.waiting == 0)
    world.kit.links[1].plugged = True
    world.live(HOUR_S, step_s=1.0)
    assert not any(len(frame) > 150 for *_, frame in world.cell.log)


def test_asking_over_cellular_whether_anything_has_changed_costs_less_than_200_bytes(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    for number in range(300):
        world.kit.write(body=bytes((number % 256,)) * 90)
    world.live(600, until=lambda: world.kit.waiting == 0)
    before = len(world.cell.log)
    world.live(320)
    asked = [len(frame) for *_, frame in world.cell.log[before:]]
    assert len(asked) == 2  # a beacon and its answer, with how far each has come
    assert sum(size + 35 for size in asked) < 200  # CurveZMQ adds 33 bytes and ZeroMQ two


def test_a_link_that_raises_is_reported_and_the_others_go_on(make_world: Any) -> None:
    world = make_world(cellular=True)
    world.kit.links[1].raises = True
    world.kit.write("alert", priority=0)
    world.live(60, until=lambda: world.kit.waiting == 0)
    told = {report.name: report for report in world.kit.reports}
    assert world.kit.waiting == 0
    assert told["cellular"].state is LinkState.DOWN
    assert "the lead is broken" in told["cellular"].explain
    world.kit.links[1].raises = False
    world.live(120)
    assert {report.name: report.state for report in world.kit.reports}["cellular"] is LinkState.UP


def test_frames_of_strangers_and_noise_are_counted_and_nothing_else(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    peer = world.kit.links[0]
    for size in range(240):
        world.air.carry(peer, world.rng.randbytes(size), world.clock.monotonic(), 4)
        world.air.carry(peer, bytes((0x62, 0, 7)) + world.rng.randbytes(size), world.clock.monotonic(), 4)
        world.air.carry(peer, bytes((0x61, 0, 7)) + world.rng.randbytes(size), world.clock.monotonic(), 4)
        world.live(0.5)
    dropped = dict(world.core.engine._links[0].dropped)
    assert dropped["forged"] >= 240
    assert sum(dropped.values()) == 3 * 240
    world.kit.write()
    world.live(60, until=lambda: world.kit.waiting == 0)
    assert world.kit.waiting == 0


def test_one_core_serves_many_kits_on_one_air(make_world: Any, tmp_path: Any) -> None:
    world = make_world()
    for number in range(4):
        another = type(world.kit)(f"kit-{number}", tmp_path, world, 10 + number)
        world.lora(another)
        world.introduce(another, link_id=20 + number)
        another.start()
        world.sides.append(another)
    for side in world.sides[1:]:
        for number in range(5):
            side.write(body=side.identity.unit.encode() + bytes((number,)) * 100)
    world.live(HOUR_S, until=lambda: not any(side.waiting for side in world.sides))
    origins = [row["origin"] for row in world.core.rows("taken_ms IS NOT NULL")]
    assert {origin: origins.count(origin) for origin in origins} == {side.identity.unit: 5 for side in world.sides[1:]}
    for side in world.sides[2:]:
        side.database.close()
    del world.sides[2:]


def test_the_first_word_from_the_core_is_shown_at_once(make_world: Any) -> None:
    world = make_world()
    world.kit.write()
    world.live(60, until=lambda: world.kit.waiting == 0)
    assert world.kit.reports[0].last_heard_ms is not None


def test_a_kit_cannot_write_in_the_name_of_another(make_world: Any) -> None:
    world = make_world()
    with world.kit.database.atomic() as connection:
        connection.execute("UPDATE unit_epoch SET origin = 'kit-other'")
    world.kit.write()
    world.live(300)
    assert world.core.taken == []
    assert dict(world.core.engine._links[0].dropped)["forged"] > 0


def test_the_loop_ends_within_a_second_of_being_told_under_a_real_and_a_fast_clock(make_world: Any) -> None:
    world = make_world()
    for clock in (SystemClock(), AcceleratedClock(start_s=1.79e9, started_at_s=0.0, speed=500.0)):
        world.clock = clock
        world.kit.start()
        stop = threading.Event()
        thread = threading.Thread(target=world.kit.engine.run, args=(stop,))
        thread.start()
        stop.set()
        thread.join(1.0)
        assert not thread.is_alive()
