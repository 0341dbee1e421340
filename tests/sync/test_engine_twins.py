"""Two kits with one SD card: found out, named, and neither believed. A restart is none; nor is a restored backup."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

HOUR_S = 3600.0


def clone(world: Any, home: Path, *, by: Any = None) -> Any:
    """Another machine with a copy of the kit's disk, on the same air."""
    home.mkdir()
    with sqlite3.connect(home / "kit-orchard.db") as copy:
        world.kit.database.connection.backup(copy)
    copy.close()
    twin = type(world.kit)("kit-orchard", home, world, 2)
    (by or world.lora)(twin).address = "!kit-copy"
    twin.peers = world.kit.peers
    twin.start()
    world.sides.append(twin)
    return twin


def live_for_a_while(world: Any, *others: Any) -> None:
    """Each writes every half an hour."""
    for number in range(16):
        for side in (world.kit, *others):
            side.write("readings", body=world.rng.randbytes(90) + bytes((number,)))
        world.live(HOUR_S / 2, step_s=4.0)


def test_two_kits_cloned_from_one_card_are_found_out_and_both_are_told(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    live_for_a_while(world)
    twin = clone(world, tmp_path / "copy")
    live_for_a_while(world, twin)
    assert world.core.peers.peers[7].twin
    for side in (world.kit, twin):
        assert "SD card" in side.reports[0].explain
        assert "switch one of them off" in side.reports[0].fault
    taken, before = len(world.core.taken), len(world.air.log)
    live_for_a_while(world, twin)
    assert len(world.core.taken) == taken
    spent = [frame for _, who, _, frame in world.air.log[before:] if "core" in who]
    assert len(spent) < 8 * 12  # it does not spend its air on telling them
    twin.database.close()
    del world.sides[2:]


def test_what_the_core_says_to_one_of_two_twins_is_not_believed_by_the_other(make_world: Any, tmp_path: Path) -> None:
    """Both number their frames and records alike, and only one is heard: the other one's record has not arrived."""
    world = make_world()
    live_for_a_while(world)
    assert world.kit.waiting == 0
    twin = clone(world, tmp_path / "copy")
    world.kit.start()
    deaf, carry = world.kit.links[0], world.air.carry
    world.air.carry = lambda sender, *told: None if sender is deaf else carry(sender, *told)
    for number in range(8):
        mine, theirs = world.kit.write(body=b"mine %d" % number), twin.write(body=b"theirs %d" % number)
        assert mine == theirs
        world.live(120)
    assert b"theirs 7" in [body for _, body in world.core.taken]
    assert world.kit.waiting == 8
    twin.database.close()
    del world.sides[2:]


@pytest.mark.parametrize("seed", range(4))
def test_what_the_core_accepts_of_two_twins_it_has_as_they_wrote_it(make_world: Any, tmp_path: Path, seed: int) -> None:
    """The same name, another body: one of the two is kept apart, is told so, and goes again under a new name."""
    world = make_world(seed, lora=False, cellular=True)
    live_for_a_while(world)
    twin = clone(world, tmp_path / "copy", by=world.cellular)
    world.kit.start()
    sent: list[bytes] = []
    for number in range(6):
        for side, name in ((world.kit, "mine"), (twin, "theirs")):
            sent.append(b"%s %d" % (name.encode(), number))
            side.write(body=sent[-1])
            world.live(20 * world.rng.random())
    world.live(60)
    assert world.core.peers.peers[7].twin
    at_the_core = {(row["epoch"], row["seq"]): row["body"] for row in world.core.rows("taken_ms IS NOT NULL")}
    accepted = [
        row for side in (world.kit, twin) for row in side.rows("accepted_ms IS NOT NULL") if row["body"] in sent
    ]
    assert accepted
    assert {at_the_core.get((row["epoch"], row["seq"])) == row["body"] for row in accepted} == {True}
    twin.database.close()
    del world.sides[2:]


def test_restarts_and_a_restored_backup_are_no_twin(make_world: Any) -> None:
    world = make_world()
    world.air.faults.loss = 0.3
    world.air.faults.reorder = world.air.faults.duplicate = 0.2
    backup = world.kit.store.load_session("core-city")
    for number in range(12):
        world.kit.write(body=world.rng.randbytes(200))
        world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
        if number % 4 == 3 and backup is not None:
            world.kit.store.save_session("core-city", backup)
        world.kit.start()
    world.live(6 * HOUR_S, step_s=4.0, until=lambda: world.kit.waiting == 0)
    assert not world.core.peers.peers[7].twin
    assert len(world.core.taken) == 12
