"""A disk of either side dies while a kit renews its keys, and an earlier copy takes its place: nobody is locked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync.join import join
from sync.rotation import keys_in_use

HOUR_S, DAY_S = 3600.0, 86_400.0

STAGES = ("before", "begun", "told", "switched", "done")
"""Nothing yet; new keys are drawn; the core knows them; the kit uses them; the old ones are forgotten."""


def reach(world: Any, stage: str, side: Any) -> dict[str, Path]:
    """Renew keys as far as that; returns copies of that side's disk at each stage on the way there."""
    unit = world.kit.unit
    reached = {
        "begun": lambda: True,
        "told": lambda: bool(world.core.next_of(unit)),
        "switched": lambda: world.kit.stage == "switched",
        "done": lambda: world.renewed,
    }
    world.live(5)
    copies = {"before": world.copy_of(side)}
    for each in STAGES[1 : STAGES.index(stage) + 1]:
        if each == "begun":
            world.kit.rotate()
        assert world.live(HOUR_S, reached[each], step_s=0.02)
        copies[each] = world.copy_of(side)
    return copies


def all_is_well(world: Any, seconds: float = HOUR_S, *, step_s: float = 1.0) -> None:
    """What is written now arrives on the other side, once, and one pair of keys is left."""
    unit = world.kit.unit
    world.kit.write(b"afterwards")
    world.core.send(b"to you, afterwards", to=unit)
    assert world.live(seconds, lambda: world.renewed and b"to you, afterwards" in world.kit.bodies(), step_s=step_s)
    assert world.core.bodies(unit) == [b"afterwards"]
    assert world.kit.bodies() == [b"to you, afterwards"]


@pytest.mark.parametrize("copy", ["begun", "told", "switched"])
@pytest.mark.parametrize("stage", ["told", "switched", "done"])
def test_a_kit_set_back_within_it_finds_the_keys_that_the_core_knows(make_world: Any, copy: str, stage: str) -> None:
    if STAGES.index(copy) > STAGES.index(stage):
        return
    world = make_world()
    world.set_back(world.kit, reach(world, stage, world.kit)[copy])
    before = world.core.next_of(world.kit.unit) or world.core.key_of(world.kit.unit)
    all_is_well(world)
    assert world.kit.public == before


@pytest.mark.parametrize(("copy", "stage"), [("before", "told"), ("before", "switched"), ("told", "switched")])
def test_a_core_set_back_while_the_kit_has_both_pairs_is_told_anew(make_world: Any, copy: str, stage: str) -> None:
    world = make_world()
    old = world.kit.public
    world.set_back(world.core, reach(world, stage, world.core)[copy])
    all_is_well(world)
    assert world.kit.public != old


def test_a_core_that_knew_the_next_keys_is_set_back_after_the_kit_forgot_the_old_ones(make_world: Any) -> None:
    world = make_world()
    world.set_back(world.core, reach(world, "done", world.core)["told"])
    all_is_well(world)


def test_by_radio_a_silent_core_is_tried_under_one_pair_for_hours_and_then_under_the_other(make_world: Any) -> None:
    world = make_world(radio=True)
    world.set_back(world.core, reach(world, "switched", world.core)["before"])
    world.kit.write(b"afterwards")
    assert not world.live(5 * HOUR_S, lambda: world.kit.waiting == 0, step_s=4.0)
    assert world.live(2 * HOUR_S, lambda: world.kit.waiting == 0 and world.renewed, step_s=1.0)


def test_what_the_core_says_under_the_old_keys_ends_the_wait_within_minutes(make_world: Any) -> None:
    """A core that was set back has something to say: the kit need not wait for its turn to hear it."""
    world = make_world(radio=True)
    world.set_back(world.core, reach(world, "switched", world.core)["before"])
    all_is_well(world, HOUR_S / 2)


def test_a_frame_of_the_core_that_was_on_its_way_does_not_turn_the_kit_back(make_world: Any) -> None:
    world = make_world()
    reach(world, "told", world.core)
    for number in range(30):
        world.core.send(b"%d" % number, to=world.kit.unit)
    offers = set()
    while not world.renewed:
        world.live(0.02)
        offers.add(len(world.core.bodies(world.kit.unit, "new-key")))
    assert offers == {1}
    assert world.live(60, lambda: len(world.kit.bodies()) == 30)


def test_frames_recorded_before_turn_nobody_back(make_world: Any) -> None:
    """Whoever has recorded everything plays it again, at each stage: it changes nothing, on either side."""
    world = make_world()
    reach(world, "switched", world.core)
    frames = [frame for *_, frame in world.medium.log]
    assert world.live(HOUR_S, lambda: world.renewed)
    key, dropped = world.kit.public, world.kit.engine._links[0].dropped
    for frame in frames:
        for side in world.sides:
            world.medium.carry(side.links[0], frame, world.clock.monotonic(), 4)
    world.live(120)
    assert (world.core.key_of(world.kit.unit), world.core.next_of(world.kit.unit)) == (key, b"")
    assert (world.kit.public, world.kit.stage) == (key, "")
    assert sum(dropped.values()) >= len(frames)
    all_is_well(world)


@pytest.mark.parametrize("side", ["kit", "core"])
def test_after_the_end_only_an_operator_who_vouches_for_the_kit_brings_them_together(
    make_world: Any, side: str
) -> None:
    """One of the two knows nothing of the keys that the other one has."""
    world = make_world()
    which = getattr(world, side)
    world.set_back(which, reach(world, "done", which)["before"])
    unit = world.kit.unit
    world.kit.write(b"afterwards")
    assert not world.live(HOUR_S, lambda: world.kit.waiting == 0, step_s=4.0)
    join(world.kit.home, world.invite(), clock=world.clock)
    world.kit.turn = None
    assert not world.live(60, lambda: world.kit.waiting == 0)
    assert "--unit ID" in world.kit.engine._standing.sentence
    join(world.kit.home, world.invite(unit=unit), clock=world.clock)
    world.kit.turn = None
    world.core.send(b"to you, afterwards", to=unit)
    assert world.live(HOUR_S, lambda: world.kit.waiting == 0 and b"to you, afterwards" in world.kit.bodies())
    assert world.core.bodies(unit) == [b"afterwards"]
    assert world.core.key_of(unit) == world.kit.public


def test_keys_put_back_beside_a_store_that_went_on_count_for_nothing(make_world: Any) -> None:
    """A copy of `rotation.json` from an earlier renewal must not bring its keys back."""
    world = make_world()
    copies = reach(world, "done", world.kit)
    first = world.kit.public
    (world.kit.home.keys / "rotation.json").write_bytes((copies["switched"] / "keys/rotation.json").read_bytes())
    world.kit.start()
    world.live(5)
    assert (world.kit.public, world.kit.stage) == (first, "")
    world.kit.rotate()
    assert world.live(HOUR_S, lambda: world.renewed)
    (world.kit.home.keys / "rotation.json").write_bytes((copies["begun"] / "keys/rotation.json").read_bytes())
    world.kit.start()
    all_is_well(world)


def test_an_answer_that_was_recorded_and_kept_back_does_not_make_the_kit_forget_its_old_keys(make_world: Any) -> None:
    """Somebody jams the core's answers under the new keys, and plays them once the core was set back."""
    world = make_world()
    copies = reach(world, "switched", world.core)
    carry, kept = world.medium.carry, []
    world.medium.carry = lambda sender, frame, *told: (
        kept.append(frame) if sender is world.core.links[0] else carry(sender, frame, *told)
    )
    assert world.live(60, lambda: world.core.next_of(world.kit.unit) == b"")
    world.live(60)
    world.medium.carry = carry
    world.set_back(world.core, copies["before"])
    world.kit.start()  # its life is another one than that to which these answers were said
    world.live(1)
    for frame in kept:
        carry(world.core.links[0], frame, world.clock.monotonic(), 4)
    world.live(5)
    assert kept
    assert world.kit.stage == "switched"
    all_is_well(world)


def test_a_kit_that_died_between_its_last_files_makes_up_for_them_alone(make_world: Any) -> None:
    world = make_world()
    copies = reach(world, "done", world.kit)
    keys, now = world.kit.home.keys, {file.name: file.read_text() for file in world.kit.home.keys.glob("*.json")}
    for stage in ("begun", "switched"):
        for name in ("rotation.json", "curve.json"):
            (keys / name).write_bytes((copies[stage] / "keys" / name).read_bytes())
        used = keys_in_use(world.kit.home)
        assert used.other == b""
        assert used.identity.exchange_public == world.kit.public
        assert {file.name: file.read_text() for file in keys.glob("*.json")} == now
