"""A name that two records have: what is kept apart is not acknowledged, and goes on under a new name.

So it is when a store was set back to an older copy without a new epoch, on either side, and while a copied SD card has
not been found out yet.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

HOUR_S = 3600.0


def copy_of(side: Any, file: Path) -> Path:
    with sqlite3.connect(file) as copy:
        side.database.connection.backup(copy)
    copy.close()
    return file


def set_back(side: Any, file: Path) -> None:
    """Somebody puts an old copy of the file in its place, and starts the unit again."""
    with sqlite3.connect(file) as old:
        old.backup(side.database.connection)
    old.close()
    side.start()


def settled(world: Any) -> bool:
    return bool(world.kit.waiting == world.core.waiting == 0)


def bodies(side: Any) -> list[bytes]:
    return [body for _, body in side.taken]


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("size", [20, 900], ids=["whole", "in pieces"])
def test_a_kit_whose_store_was_set_back_loses_nothing_of_what_it_writes_then(
    make_world: Any, tmp_path: Path, loss: float, size: int
) -> None:
    world = make_world()
    world.air.faults.loss = loss
    world.kit.write(body=b"before")
    world.live(HOUR_S, until=lambda: settled(world))
    old = copy_of(world.kit, tmp_path / "old.db")
    for number in range(3):
        world.kit.write(body=b"first life %d" % number)
    world.live(6 * HOUR_S, until=lambda: settled(world))
    set_back(world.kit, old)
    frames = len(world.air.log)
    theirs = [b"second life %d" % number + bytes(size) for number in range(5)]
    for body in theirs:
        world.kit.write(body=body)
    world.live(24 * HOUR_S, until=lambda: settled(world))
    assert settled(world)
    assert set(theirs) <= set(bodies(world.core))
    assert {b"first life 0", b"first life 1", b"first life 2"} <= set(bodies(world.core))
    names = {(row["epoch"], row["seq"]): row["body"] for row in world.core.rows("taken_ms IS NOT NULL")}
    for row in world.kit.rows("accepted_ms IS NOT NULL AND body LIKE 'second%'"):
        assert names[row["epoch"], row["seq"]] == row["body"], "what is accepted is there under its name"
    assert len(world.air.log) - frames < 150, "nothing is repeated for ever"


def test_what_a_core_says_after_its_store_was_set_back_is_not_taken_for_what_a_kit_has_had(
    make_world: Any, tmp_path: Path
) -> None:
    """Else a warning of a core that somebody has restored by hand would count as delivered, and nobody would see it."""
    world = make_world()
    old = copy_of(world.core, tmp_path / "old.db")
    world.core.write("message", priority=2, body=b"the road is open")
    world.live(HOUR_S, until=lambda: settled(world))
    set_back(world.core, old)
    warning = world.core.write("alert", priority=0, body=b"the dam may break")
    world.live(HOUR_S, until=lambda: settled(world))
    assert settled(world)
    assert sorted(bodies(world.kit)) == [b"the dam may break", b"the road is open"]
    (row,) = world.core.rows("kind = 'alert'")
    assert row["epoch"] > warning.epoch
    world.core.write("message", priority=2, body=b"and so on")
    world.live(HOUR_S, until=lambda: settled(world))
    assert b"and so on" in bodies(world.kit), "what follows needs no new name any more"


def test_what_comes_beside_a_record_that_is_kept_apart_is_acknowledged(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    old = copy_of(world.kit, tmp_path / "old.db")
    world.kit.write(body=b"one of the first life")
    world.live(HOUR_S, until=lambda: settled(world))
    set_back(world.kit, old)
    sent = [b"note %d" % number for number in range(6)]  # all in one frame, the first under a name that is held
    names = [world.kit.write(body=body) for body in sent]
    world.live(HOUR_S, until=lambda: settled(world))
    kept = {row["body"]: (row["epoch"], row["seq"]) for row in world.kit.rows("accepted_ms IS NOT NULL")}
    assert kept[b"note 0"][0] > names[0].epoch
    assert [kept[body] for body in sent[1:]] == [name[1:] for name in names[1:]], "the others keep their names"
    assert sorted(bodies(world.core)) == sorted([*sent, b"one of the first life"])
