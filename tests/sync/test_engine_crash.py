"""Killed at any instant, on either side: nothing acknowledged is lost, nothing is doubled, no counter comes twice."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.protocol.frames import FrameType, frame_type
from sync.protocol.records import CannotStoreNow, Priority
from sync.protocol.routing import CORE_IS_FULL

HOUR_S, DAY_S = 3600.0, 86_400.0


def wire(world: Any, side: Any, before: set[int], after: set[int]) -> None:
    """Let the power fail around those calls of that side's store."""
    side.store = type(world).cutting(side.store, before, after)
    side.start()


def counters(world: Any, kind: FrameType) -> list[bytes]:
    """The counter of every full frame of that direction that went out."""
    return [frame[7:11] for *_, frame in world.air.log if frame_type(frame) is kind]


def names(world: Any, kind: FrameType) -> list[bytes]:
    """What must never come twice: of full frames salt and counter, of short ones the counter and the whole frame."""
    short = [frame for *_, frame in world.air.log if frame_type(frame) is kind.short]
    return [frame[3:11] for *_, frame in world.air.log if frame_type(frame) is kind] + short


MOMENTS = st.sets(st.integers(1, 60), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kit_before=MOMENTS, kit_after=MOMENTS, core_before=MOMENTS, core_after=MOMENTS, loss=st.sampled_from([0.0, 0.3]))
def test_killed_around_any_write_nothing_is_lost_doubled_or_sealed_twice(
    make_world: Any,
    kit_before: set[int],
    kit_after: set[int],
    core_before: set[int],
    core_after: set[int],
    loss: float,
) -> None:
    world = make_world()
    world.air.faults.loss = loss
    wire(world, world.kit, kit_before, kit_after)
    wire(world, world.core, core_before, core_after)
    for number in range(12):
        world.kit.write(priority=number % 5, body=world.rng.randbytes(30 * number + 1))
    world.core.write("message", priority=2, body=b"hold on")
    world.live(24 * HOUR_S, step_s=1.0, until=lambda: world.kit.waiting + world.core.waiting == 0)
    assert world.kit.waiting == world.core.waiting == 0
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows("taken_ms IS NULL")]
    assert world.kit.taken == [(1, b"hold on")]
    for kind in (FrameType.UP, FrameType.DOWN):
        used = names(world, kind)
        assert len(used) == len(set(used))


def test_a_core_that_dies_between_commit_and_acknowledgement_acknowledges_the_repetition(make_world: Any) -> None:
    world = make_world()
    wire(world, world.core, set(), {2})  # held, take: the power fails right after the commit
    world.kit.write(body=b"once")
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert world.power_cuts == 1
    assert world.core.taken == [(1, b"once")]
    assert world.kit.waiting == 0


def fill(side: Any) -> None:
    """The disk of that side is full: SQLite itself says so."""
    connection = side.database.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_at_the_core_acknowledges_nothing_and_tells_the_kit_to_wait(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    fill(world.core)
    for _ in range(4):
        world.kit.write("file", priority=3, body=world.rng.randbytes(6000))
    world.live(1800)
    assert world.kit.waiting == 4
    assert world.core.taken == []
    assert "nothing can be stored" in world.core.reports[0].explain
    assert world.live(300, until=lambda: "core_full" in world.kit.reports[0].facts) < 300
    assert CORE_IS_FULL in world.kit.reports[0].explain
    before = len(world.air.log)
    world.live(600)
    asked = [size for *_, size in world.air.log[before:]]
    assert len(asked) < 60  # it waits, and tries now and then
    world.core.database.connection.execute("PRAGMA max_page_count = 1000000")
    before = world.kit.waiting
    world.live(1800, until=lambda: world.kit.waiting < before)
    world.live(1.0)
    assert "core_full" not in world.kit.reports[0].facts, "as soon as it takes something again"
    assert CORE_IS_FULL not in world.kit.reports[0].explain
    world.live(1800, until=lambda: world.kit.waiting == 0)
    assert len(world.core.taken) == 4
    world.live(120)
    assert "nothing can be stored" not in world.core.reports[0].explain


def test_that_the_core_has_no_room_is_not_said_longer_than_it_is_known(make_world: Any) -> None:
    """Somebody has carried what waited by a stick, and nothing else is to be said: nobody asks the core again."""
    world = make_world()
    world.live(60)
    fill(world.core)
    record = world.kit.write("file", priority=3, body=world.rng.randbytes(6000))
    assert world.live(1800, until=lambda: "core_full" in world.kit.reports[0].facts) < 1800
    world.kit.store.accepted([record], peer="core-city", link="stick", at_ms=world.now_ms)
    assert world.live(600, until=lambda: "core_full" not in world.kit.reports[0].facts) < 600
    assert CORE_IS_FULL not in world.kit.reports[0].explain


def take_alarms_only(side: Any) -> None:
    take = side.store.take

    def alarms_only(records: Any, **facts: Any) -> Any:
        if any(record.priority != Priority.DISTRESS for record in records):
            raise CannotStoreNow("the disk is full")
        return take(records, **facts)

    side.store.take = alarms_only


def test_that_the_core_has_no_room_is_not_said_for_ever_of_one_that_has_fallen_silent(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    fill(world.core)
    world.kit.write("file", priority=3, body=world.rng.randbytes(6000))
    assert world.live(1800, until=lambda: "core_full" in world.kit.reports[0].facts) < 1800
    world.core.links[0].plugged = False
    assert world.live(6000, step_s=2.0, until=lambda: "core_full" not in world.kit.reports[0].facts) < 6000


def test_an_alarm_that_a_full_core_takes_does_not_say_that_it_has_room_for_the_rest(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    take_alarms_only(world.core)
    world.kit.write(priority=3, body=b"a summary")
    assert world.live(1800, until=lambda: "core_full" in world.kit.reports[0].facts) < 1800
    world.kit.write(priority=0, body=b"frost tonight")
    world.live(60, until=lambda: world.kit.waiting == 1)
    world.live(2)
    assert [body for _, body in world.core.taken] == [b"frost tonight"]
    assert "core_full" in world.kit.reports[0].facts


def test_frames_recorded_from_the_air_and_played_again_change_nothing(make_world: Any) -> None:
    world = make_world()
    for number in range(5):
        world.kit.write(body=bytes((number,)) * 100)
    world.live(300, until=lambda: world.kit.waiting == 0)
    recorded = [frame for *_, frame in world.air.log]
    world.core.start()  # a restart must not make it forget
    before, taken = len(world.air.log), world.core.taken
    for frame in recorded:
        world.air.carry(world.kit.links[0], frame, world.clock.monotonic(), 4)
    world.live(60)
    ups = sum(1 for frame in recorded if frame_type(frame) is FrameType.UP)
    dropped = dict(world.core.engine._links[0].dropped)
    # what was said to its earlier life cannot even be opened by this one
    assert (dropped["replayed"] + dropped.get("forged", 0), dropped["foreign"]) == (ups, len(recorded) - ups)
    assert world.core.taken == taken
    answers = [frame for _, who, _, frame in world.air.log[before:] if "core" in who]
    assert len(answers) <= 2


def test_a_kit_restored_from_an_old_backup_is_told_that_it_is_behind_and_goes_on(make_world: Any) -> None:
    world = make_world()
    world.kit.write(body=b"first")
    world.live(300, until=lambda: world.kit.waiting == 0)
    backup = world.kit.store.load_session("core-city")
    for _ in range(400):
        world.kit.write(priority=1, body=world.rng.randbytes(170))
    world.live(2 * HOUR_S, until=lambda: world.kit.waiting == 0)
    last = world.core.engine._talks.of("kit-orchard").session._counters.highest
    world.kit.store.save_session("core-city", backup)
    world.kit.start()
    for _ in range(8):
        world.kit.write(priority=1, body=b"after the restore" * 10)
    took = world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert took < 600
    assert world.core.engine._talks.of("kit-orchard").session._counters.highest > last
    assert len(world.core.taken) == 409


def test_now_and_then_both_ends_draw_new_keys_and_talk_on(make_world: Any) -> None:
    world = make_world(life_s=DAY_S)
    world.air.faults.loss = 0.2
    for _ in range(30):
        world.kit.write("message", priority=2, body=world.rng.randbytes(60))
        world.live(2 * HOUR_S, step_s=2.0, until=lambda: world.kit.waiting == 0)
        world.live(2 * HOUR_S, step_s=8.0)
    full = [frame for *_, frame in world.air.log if frame_type(frame) is FrameType.UP]
    short = [frame for *_, frame in world.air.log if frame_type(frame) is FrameType.UP_SHORT]
    assert len({frame[3:7] for frame in full}) >= 3  # two and a half days
    assert len(short) > len(full)
    assert len(world.core.taken) == 30
    assert not world.core.peers.peers[7].twin


def test_a_copied_disk_started_twice_never_uses_one_key_twice(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    first = {frame[3:7] for _, who, _, frame in world.air.log if "kit" in who and frame_type(frame) is FrameType.UP}
    world.kit.start()
    world.kit.write()
    world.live(60)
    assert world.core.taken
    salts = {frame[3:7] for _, who, _, frame in world.air.log if "kit" in who and frame_type(frame) is FrameType.UP}
    assert len(first) == 1
    assert len(salts) == 2


def test_a_core_that_starts_anew_understands_the_next_frame_by_a_wide_link(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    world.kit.write(body=b"before")
    world.live(60.0, step_s=0.1, until=lambda: world.kit.waiting == 0)
    world.core.start()  # a new life, which knows nothing of what its predecessor was told
    world.kit.write(priority=0, body=b"after")
    world.live(20.0, step_s=0.1, until=lambda: world.kit.waiting == 0)
    assert world.kit.waiting == 0, "the kit must not have to wait until it asks for a sign of life"
    assert [body for _, body in world.core.taken] == [b"before", b"after"]


def test_a_disk_too_full_even_for_what_is_shown_of_the_links_ends_no_engine(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    tell, told = world.core.engine._reporting._on_links, []

    def without_room(reports: Any) -> None:
        told.append(reports)
        raise CannotStoreNow("database or disk is full")

    world.core.engine._reporting._on_links = without_room
    world.kit.write(body=b"goes on")
    world.live(600, until=lambda: world.kit.waiting == 0)
    world.live(120)
    assert world.core.taken == [(1, b"goes on")]
    assert 1 < len(told) < 60  # again and again, not with every round
    world.core.engine._reporting._on_links = tell
    world.live(120)
    assert "nothing can be stored" not in world.core.reports[0].explain


def test_an_alarm_among_what_a_full_core_cannot_take_is_taken(make_world: Any) -> None:
    world = make_world()
    world.live(60)
    take = world.core.store.take
    take_alarms_only(world.core)
    world.kit.write(priority=3, body=b"a summary")
    world.kit.write(priority=0, body=b"frost tonight")
    world.live(1800, until=lambda: world.kit.waiting == 1)
    assert [body for _, body in world.core.taken] == [b"frost tonight"]
    world.live(60)
    assert "nothing can be stored" in world.core.reports[0].explain
    world.core.store.take = take
    world.live(1800, until=lambda: world.kit.waiting == 0)
    assert sorted(body for _, body in world.core.taken) == [b"a summary", b"frost tonight"]
