"""kill -9 of the kit's processes while a valve is open: the valve closes by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Services, make_home
from whole_unit import wait_until

from hardware.simulated.actuator import SimulatedActuator
from kit.clock import AcceleratedClock, accelerate
from kit.collect.actuation.asking import ask_for, wait_for_word
from kit.collect.actuation.service import SHORTEST_LEASE_REAL_S
from kit.model.commands import CommandState
from kit.store import commands as ledger
from kit.store.database import Database

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SPEED = 20.0
"""A lease of SHORTEST_LEASE_REAL_S instead of half a minute."""


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Services]:
    unit = Services(*make_home(tmp_path))
    yield unit
    unit.kill()


def _open(unit: Services, clock: AcceleratedClock) -> str:
    with Database(unit.home / "kit.db") as database:
        identifier = ask_for(database, clock, device="valve", on=True, for_s=4 * 3600.0, by="test")
        row = wait_for_word(database, identifier, real_s=15.0, pause=threading.Event().wait)
    assert row.command.state is CommandState.HELD, row.command
    return identifier


def test_a_valve_closes_by_itself_when_every_process_of_the_kit_is_killed(unit: Services) -> None:
    clock = accelerate(unit.home / "run" / "clock.json", start_s=1_790_000_000.0, speed=SPEED)
    account = unit.kit("device", "add", "valve")
    unit.start()
    with SimulatedActuator(
        "valve",
        account["password"],
        host="127.0.0.1",
        port=unit.port,
        clock=clock,
        state_file=unit.home / "valve.json",
    ) as valve:
        identifier = _open(unit, clock)
        # the collector alone: its last will reaches the valve through the broker that lives
        os.kill(unit.processes[1].pid, signal.SIGKILL)
        wait_until(lambda: not valve.is_on(), seconds=SHORTEST_LEASE_REAL_S + 4, what="the valve to close")
        unit.kill()
        unit.start()  # within the same boot: what was asked for goes on
        wait_until(valve.is_on, seconds=15, what="the valve to open again")
        with Database(unit.home / "kit.db", read_only=True) as database:
            held = ledger.find(database.connection, identifier)
        assert held is not None
        assert held.command.state is CommandState.HELD
        # broker and all: nobody is left to tell the valve anything
        before = time.monotonic()
        unit.kill()
        wait_until(lambda: not valve.is_on(), seconds=SHORTEST_LEASE_REAL_S + 4, what="the valve to close")
        assert time.monotonic() - before < SHORTEST_LEASE_REAL_S + 4
