"""A labelled stick is plugged in, and nobody types anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardware.simulated.sticks import SimulatedSticks
from kit.run.bundles import core_exchange, note_welcome
from kit.run.schema import open_unit_store
from kit.run.sticks import StickService
from kit.store.database import Database
from kit.store.links import MIGRATIONS as LINKS
from kit.store.links import LinkRow, links

Slot = Callable[[Any], tuple[StickService, Database]]


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """The USB port that kit and core share in this test: a stick is carried by moving nothing at all."""
    return tmp_path / "port"


@pytest.fixture
def kit_slot(port: Path) -> Iterator[Slot]:
    opened: list[Database] = []

    def make(kit: Any) -> tuple[StickService, Database]:
        told = open_unit_store(kit.home)
        told.open()
        opened.append(told)
        service = StickService(
            watcher=SimulatedSticks(["VILLAGE-KIT"], port),
            exchange=kit.exchange,
            told=told,
            clock=kit.clock,
            taken=lambda imported: note_welcome(kit.home, imported),
        )
        return service, told

    yield make
    for each in opened:
        each.close()


def row(database: Database) -> LinkRow | None:
    return next((each for each in links(database.connection) if each.name == "stick"), None)


def test_a_kit_that_never_saw_a_stick_does_not_speak_of_one(valley: Any, kit_slot: Slot) -> None:
    service, told = kit_slot(valley.kit())
    service.look()
    assert row(told) is None


def test_plugging_in_is_enough_and_the_status_says_when_to_pull_it_out(
    valley: Any, kit_slot: Slot, port: Path, tmp_path: Path
) -> None:
    kit = valley.kit()
    kit.write_many(3)
    service, told = kit_slot(kit)
    (port / "VILLAGE-KIT").mkdir(parents=True)
    service.look()
    shown = row(told)
    assert shown is not None
    assert shown.explain == "3 records are on the stick VILLAGE-KIT; it may be pulled out now"
    with Database(tmp_path / "core-links.db", migrations=LINKS) as core_told:
        core = StickService(
            watcher=SimulatedSticks(["VILLAGE-KIT"], port),
            exchange=lambda: core_exchange(valley.city.core),
            told=core_told,
            clock=valley.clock,
        )
        core.look()
        shown = row(core_told)
        assert shown is not None
        assert "3 were taken from it" in shown.explain
    valley.clock.advance(601.0)  # still there, or there again
    service.look()
    shown = row(told)
    assert shown is not None
    assert "3 of ours have arrived" in shown.explain
    assert kit.states == {"accepted"}
    (port / "VILLAGE-KIT").rename(port / "gone")
    service.look()
    shown = row(told)
    assert shown is not None
    assert (shown.state, shown.fault) == ("down", "")


@pytest.mark.parametrize("fault", ["unmounted", "locked"])
def test_a_stick_that_cannot_be_used_is_a_fault_with_what_to_do(
    valley: Any, kit_slot: Slot, port: Path, fault: str
) -> None:
    kit = valley.kit()
    kit.write()
    service, told = kit_slot(kit)
    (port / "VILLAGE-KIT").mkdir(parents=True)
    (port / "sticks.json").write_text(json.dumps({fault: ["VILLAGE-KIT"]}))
    if fault == "locked":  # what a lock does to a folder
        (port / "VILLAGE-KIT" / "village-kit").touch()
    service.look()
    shown = row(told)
    assert shown is not None
    assert fault.replace("unmounted", "not mounted").replace("locked", "write-protected") in shown.fault
    assert kit.states == {"written"}


def test_a_kit_that_belongs_to_no_core_says_so_when_a_stick_comes(valley: Any, kit_slot: Slot, port: Path) -> None:
    service, told = kit_slot(valley.kit(joined=False))
    (port / "VILLAGE-KIT").mkdir(parents=True)
    service.look()
    shown = row(told)
    assert shown is not None
    assert "kit join INVITE" in shown.fault
