"""A kit's card is copied while its keys are renewed: the copy is found out, or shut out, as at other times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync.join import join

HOUR_S = 3600.0


def copied(world: Any, copy: Path) -> Any:
    """Another machine with a copy of the kit's disk, on the same network."""
    twin = type(world.kit)(world, copy)
    world.link(twin, address="#twin")
    twin.start()
    world.sides.append(twin)
    return twin


def both_speak(world: Any, twin: Any, rounds: int = 8) -> None:
    for number in range(rounds):
        for side, name in ((world.kit, "mine"), (twin, "theirs")):
            side.write(b"%s %d" % (name.encode(), number))
            world.live(20)


def is_twin(world: Any) -> bool:
    return any(peer.twin for peer in world.core.store.all())


@pytest.mark.parametrize("stage", ["offered", "switched"])
def test_a_card_that_was_copied_in_the_middle_is_found_out(make_world: Any, stage: str) -> None:
    world = make_world()
    world.live(5)
    world.kit.rotate()
    assert world.live(60, lambda: world.kit.stage == stage, step_s=0.02)
    twin = copied(world, world.copy_of(world.kit))
    world.kit.start()
    both_speak(world, twin)
    assert is_twin(world)
    taken = len(world.core.bodies(world.kit.unit))
    both_speak(world, twin, rounds=2)
    assert len(world.core.bodies(world.kit.unit)) == taken
    # one is switched off, the other joins anew and goes on, whichever keys it had come to
    world.sides.remove(twin)
    twin.close()
    join(world.kit.home, world.invite(unit=world.kit.unit), clock=world.clock)
    world.kit.turn = None
    world.kit.write(b"alone again")
    assert world.live(2 * HOUR_S, lambda: world.renewed, step_s=1.0), (world.kit.stage, world.kit.waiting)
    assert b"alone again" in world.core.bodies(world.kit.unit)
    assert not is_twin(world)


def test_a_card_that_was_copied_before_is_shut_out_by_the_renewal(make_world: Any) -> None:
    """What a thief of the keys has is worth nothing any more; the kit itself is not disturbed."""
    world = make_world()
    world.live(5)
    stolen = world.copy_of(world.kit)
    world.kit.rotate()
    assert world.live(HOUR_S, lambda: world.renewed)
    thief = copied(world, stolen)
    both_speak(world, thief)
    assert not is_twin(world)
    assert world.live(60, lambda: world.kit.waiting == 0)
    assert [body for body in world.core.bodies(world.kit.unit) if b"theirs" in body] == []
    assert world.core.engine._links[0].dropped["forged"] > 0
    world.sides.remove(thief)
    thief.close()
