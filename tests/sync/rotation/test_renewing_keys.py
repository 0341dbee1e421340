"""A kit gets new keys while it and its core go on; killed at any write, nothing is lost, doubled or locked out."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import KitError
from sync.rotation import advance, read_rotation

HOUR_S = 3600.0


def renew(world: Any, seconds: float = HOUR_S) -> None:
    """Rotate, with records on their way in both directions."""
    world.kit.write(b"before")
    world.core.send(b"to you, before", to=world.kit.unit)
    world.live(5)
    world.kit.rotate()
    world.kit.write(b"meanwhile")
    world.core.send(b"to you, meanwhile", to=world.kit.unit)
    assert world.live(seconds, lambda: world.renewed), f"{world.kit.stage}, {world.kit.waiting} wait"


def all_is_well(world: Any) -> None:
    """Each record arrived once, and more can come."""
    world.kit.write(b"after")
    world.core.send(b"to you, after", to=world.kit.unit)
    assert world.live(HOUR_S, lambda: world.kit.waiting == 0 and b"to you, after" in world.kit.bodies())
    assert sorted(world.core.bodies(world.kit.unit)) == [b"after", b"before", b"meanwhile"]
    assert sorted(world.kit.bodies()) == [b"to you, after", b"to you, before", b"to you, meanwhile"]


def test_a_kit_renews_its_keys_and_nothing_is_lost(make_world: Any) -> None:
    world = make_world()
    old, unit = world.kit.public, world.kit.unit
    renew(world)
    all_is_well(world)
    assert world.kit.public != old
    assert world.kit.unit == unit
    assert len(world.core.bodies(unit, "new-key")) == 1
    assert len(world.kit.bodies("new-key")) == 1
    assert not list(world.kit.home.keys.glob("rotation.json"))


def test_by_radio_short_frames_go_on_after_it(make_world: Any) -> None:
    world = make_world(radio=True)
    renew(world)
    all_is_well(world)


def cut(world: Any, side: Any, number: int, *, after: bool) -> None:
    side.wiring.count, side.wiring.cut = 0, (number, after)
    side.wiring.names.clear()


def writes_of_a_rotation(make_world: Any) -> dict[str, list[str]]:
    """What each side writes down from the start of a rotation to its end, in order."""
    world = make_world()
    world.live(5)
    for side in world.sides:
        side.wiring.names.clear()
    renew(world)
    return {"core": list(world.core.wiring.names), "kit": list(world.kit.wiring.names)}


def test_killed_before_or_after_any_write_on_either_side_it_goes_on(make_world: Any) -> None:
    writes = writes_of_a_rotation(make_world)
    assert {"rotation.json", "unit.json", "curve.json"} <= set(writes["kit"])
    assert "speaks_under_next_key" in writes["core"]
    for who, names in writes.items():
        for number, name in enumerate(names, start=1):
            for after in (False, True):
                world = make_world()
                world.live(5)
                cut(world, getattr(world, who), number, after=after)
                renew(world)
                told = f"{who} killed {'after' if after else 'before'} write {number} ({name})"
                assert world.power_cuts == 1, told
                all_is_well(world)
                assert len(world.core.bodies(world.kit.unit, "new-key")) == 1, told
                assert len(world.kit.bodies("new-key")) == 1, told
                world.end()


def test_a_core_that_cannot_write_goes_on_under_the_old_keys_until_it_can(make_world: Any) -> None:
    world = make_world()
    world.live(5)
    promote = world.core.store.speaks_under_next_key
    refused: list[str] = []

    def cannot(unit: str) -> bool:
        refused.append(unit)
        return False

    world.core.store.speaks_under_next_key = cannot
    world.kit.rotate()
    world.kit.write(b"meanwhile")
    assert not world.live(120, lambda: world.renewed)
    assert refused
    assert world.core.bodies(world.kit.unit) == [b"meanwhile"]  # it came before the switch
    world.kit.write(b"after")
    world.live(60)
    assert world.kit.waiting == 1
    world.core.store.speaks_under_next_key = promote
    assert world.live(HOUR_S, lambda: world.renewed)
    assert world.core.bodies(world.kit.unit) == [b"meanwhile", b"after"]


@pytest.mark.parametrize("file", ["rotation.json", "unit.json", "curve.json"])
def test_a_kit_that_cannot_write_one_of_its_key_files_makes_up_for_it(make_world: Any, file: str) -> None:
    world = make_world()
    world.live(5)
    world.kit.rotate()
    write = world.kit.rotating.write
    failed: list[Any] = []

    def fails(path: Any, value: Any) -> None:
        if path.name == file and len(failed) < 20:
            failed.append(path)
            raise KitError("no space left on the device")
        write(path, value)

    world.kit.rotating.write = fails
    world.kit.write(b"meanwhile")
    assert world.live(HOUR_S, lambda: world.renewed)
    assert len(failed) == 20
    assert world.core.bodies(world.kit.unit) == [b"meanwhile"]


def test_a_kit_that_joins_another_core_tells_that_one(make_world: Any) -> None:
    world = make_world()
    world.live(5)
    world.kit.rotate()
    world.live(0.02)
    first = read_rotation(world.kit.home)
    advance(world.kit.home, world.kit.database, core="core-zzzzzzzz", now_ms=world.now_ms)
    second = read_rotation(world.kit.home)
    assert first is not None
    assert second is not None
    assert (second.core, second.offer, second.new) == ("core-zzzzzzzz", first.offer + 1, first.new)
    assert second.told != first.told
