"""A record arrives once, whatever the air does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.protocol.airtime import frame_airtime_ms

HOUR_S = 3600.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    eaten=st.sets(st.integers(0, 40)),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6),
    priorities=st.lists(st.integers(0, 4), min_size=6, max_size=6),
)
def test_a_record_arrives_once_however_many_frames_the_air_eats(
    make_world: Any, eaten: set[int], sizes: Any, priorities: Any
) -> None:
    world = make_world()
    world.air.faults.eaten = eaten
    for size, priority in zip(sizes, priorities, strict=False):
        world.kit.write(priority=priority, body=world.rng.randbytes(size))
    world.live(24 * HOUR_S, step_s=2.0, until=lambda: world.kit.waiting == 0)
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows()]


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_batches_of_readings_get_through_loss_reorder_duplicates_and_bit_errors(make_world: Any, loss: float) -> None:
    world = make_world(seed=3)
    world.air.faults.loss = loss
    world.air.faults.reorder = world.air.faults.duplicate = world.air.faults.bit_error = 0.1
    for _ in range(20):
        world.kit.write(body=world.rng.randbytes(228))
    world.live(12 * HOUR_S, until=lambda: world.kit.waiting == 0)
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows()]
    assert world.kit.waiting == 0


def test_the_core_s_own_records_reach_the_kit(make_world: Any) -> None:
    world = make_world()
    world.air.faults.loss = 0.3
    told = world.core.write("message", priority=2, body=b"hold the seedlings back", addressee="kit-orchard")
    world.live(HOUR_S, until=lambda: world.core.waiting == 0)
    assert [(row["origin"], row["seq"], row["addressee"]) for row in world.kit.rows("taken_ms IS NOT NULL")] == [
        (told.origin, told.seq, "kit-orchard")
    ]


def test_an_alert_overtakes_a_thousand_batches_of_readings(make_world: Any) -> None:
    world = make_world()
    for _ in range(1000):
        world.kit.write(body=world.rng.randbytes(228))
    world.live(60)
    before = len(world.air.log)
    world.kit.write("alert", priority=0, body=b"a" * 130)
    took = world.live(HOUR_S, until=lambda: any(row["kind"] == "alert" for row in world.core.rows("taken_ms > 0")))
    later = [each for each in world.air.log[before:] if "kit" in each[1]]
    assert later[0][2] == 0  # the very next frame
    assert took < 10
    assert len(later[0][3]) <= 214


def test_an_alert_is_repeated_every_two_minutes_while_nobody_answers(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    world.air.faults.loss = 1.0
    world.kit.write("alert", priority=0, body=b"a" * 130)
    world.live(6 * HOUR_S, step_s=1.0)
    sent_s = [at for at, who, priority, _ in world.air.log if priority == 0 and "kit" in who]
    assert len(sent_s) >= 6 * 20
    assert max(after - before for before, after in zip(sent_s[-60:], sent_s[-59:], strict=False)) <= 1.35 * 120
    world.air.faults.loss = 0.0
    took = world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert took < 180


def test_a_silent_core_costs_little_airtime_and_is_caught_up_with_soon_after_it_is_back(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    world.core.links[0].plugged = False
    for _ in range(20):
        world.kit.write(body=world.rng.randbytes(228))
    start = len(world.air.log)
    world.live(6 * HOUR_S, step_s=2.0)
    spent_s = sum(frame_airtime_ms(len(frame), "LONG_FAST") for *_, frame in world.air.log[start:]) / 1000
    assert spent_s < 0.03 * 6 * HOUR_S
    world.core.links[0].plugged = True
    world.live(2 * HOUR_S, until=lambda: world.kit.waiting == 0)
    assert len(world.core.taken) == 20


def test_a_photo_goes_by_cellular_and_a_broken_off_one_is_not_begun_anew(make_world: Any) -> None:
    world = make_world(cellular=True)
    photo = world.rng.randbytes(250_000)
    world.kit.write("file", priority=5, body=photo)
    world.live(1.0, step_s=0.05)
    for link in world.kit.links:
        link.plugged = False
    world.live(300)
    before = sum(len(frame) for *_, frame in world.cell.log)
    world.kit.links[1].plugged = True
    world.live(600, until=lambda: world.kit.waiting == 0, step_s=0.1)
    assert world.core.taken[0][1] == photo
    assert 50_000 < before < 250_000
    assert sum(len(frame) for *_, frame in world.cell.log) < 375_000
    assert not any(len(frame) > 100 for *_, frame in world.air.log)  # nothing of it went over the radio


def test_a_whole_backlog_goes_in_few_frames_once_cellular_is_up(make_world: Any) -> None:
    world = make_world(cellular=True)
    for _ in range(1000):
        world.kit.write(body=world.rng.randbytes(228))
    took = world.live(600, until=lambda: world.kit.waiting == 0, step_s=0.05)
    assert took < 10
    assert len(world.core.taken) == 1000
    assert len(world.cell.log) < 40


def test_kit_time_a_thousand_times_as_fast_as_the_machine_does_not_make_the_timers_storm(make_world: Any) -> None:
    """A round trip of 60 ms is a minute of kit time then, twelve times the first time-out."""
    world = make_world(lora=False, cellular=True)
    for link in (*world.kit.links, *world.core.links):
        link._frame_s = lambda size: 30.0 + 0.0 * size
    for _ in range(200):
        world.kit.write(body=world.rng.randbytes(228))
        world.live(60)
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    frames = [each for each in world.cell.log if "kit" in each[1]]
    assert len(world.core.taken) == 200
    assert len(frames) < 400


def test_a_record_that_has_lived_its_time_is_not_sent(make_world: Any) -> None:
    world = make_world()
    world.kit.links[0].plugged = False
    world.kit.write("forecast", priority=3, lifetime_s=600)
    world.kit.write("summary", priority=3)
    world.live(900)
    world.kit.links[0].plugged = True
    world.live(600)
    assert [row["kind"] for row in world.core.rows("taken_ms IS NOT NULL")] == ["summary"]


def test_a_record_that_a_technician_wants_sent_does_not_wait_for_its_back_off(make_world: Any) -> None:
    from kit.store.records import retry

    world = make_world()
    world.live(60)
    world.air.faults.loss = 1.0
    world.kit.write(body=b"x" * 50)
    world.live(6 * HOUR_S, step_s=2.0)
    before = len(world.air.log)
    with world.kit.database.atomic() as connection:
        assert retry(connection, "all") == 1
    world.live(4)
    assert any(priority == 4 for _, _, priority, _ in world.air.log[before:])


def test_what_went_by_a_stick_is_not_tried_by_radio_any_longer(make_world: Any) -> None:
    world = make_world()
    world.core.links[0].plugged = False
    records = [world.kit.write(body=world.rng.randbytes(600)) for _ in range(3)]
    world.live(120)
    assert sum(len(frame) > 150 for *_, frame in world.air.log) > 2
    carried = world.kit.store.outgoing("core-city", now_ms=world.now_ms, limit=9)
    world.core.store.take(carried, peer="kit-orchard", link="stick", at_ms=world.now_ms)
    world.kit.store.accepted(records, peer="core-city", link="stick", at_ms=world.now_ms)
    world.live(120)
    before = len(world.air.log)
    world.core.links[0].plugged = True
    world.live(4 * HOUR_S, step_s=2.0)
    assert not [frame for *_, frame in world.air.log[before:] if len(frame) > 150]


def test_custody_goes_from_written_to_left_to_accepted(make_world: Any) -> None:
    from kit.store.records import queue

    world = make_world(cellular=True)
    alert = world.kit.write("alert", priority=0)

    def state() -> Any:
        return queue(world.kit.database.connection, limit=5)[0]

    assert (state()["state"], state()["links"]) == ("written", [])
    world.core.links[0].plugged = world.core.links[1].plugged = False
    world.live(2)
    assert (state()["state"], [link["link"] for link in state()["links"]]) == ("left", ["cellular", "lora"])
    world.core.links[0].plugged = True
    world.live(300, until=lambda: world.kit.waiting == 0)
    links = {link["link"]: link["accepted"] is not None for link in state()["links"]}
    assert (state()["state"], state()["seq"], links) == ("accepted", alert.seq, {"cellular": False, "lora": True})


def test_the_core_is_heard_though_there_is_nothing_to_say_and_that_costs_almost_no_air(make_world: Any) -> None:
    world = make_world()
    world.kit.write("message", priority=2, body=b"good morning")
    world.live(24 * HOUR_S, step_s=4.0)
    before = len(world.air.log)
    world.live(48 * HOUR_S, step_s=4.0)
    idle = [len(frame) for *_, frame in world.air.log[before:]]
    spent_s = sum(frame_airtime_ms(size, "LONG_FAST") for size in idle) / 1000
    assert len(idle) >= 8  # a beacon and its answer, several times a day
    assert spent_s / 48 <= 0.01 * 0.01 * HOUR_S  # less than a hundredth of a 1 % duty cycle
    assert world.core.peers.heard_of
