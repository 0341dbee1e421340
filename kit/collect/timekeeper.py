"""Keeps a unit's time: takes in who tells it, and gives their true time to things that were dated by a guess.

`step` may be called by any process (the technician's command calls it for an answer at once); a lock lets one at a time
change anything. Order of a change: note the last numbers written, let every process see the new offset, wait until all
do, then move what was dated by the old one.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hardware.ports import HardwareError, TimeSource
from kit.clock import Clock
from kit.store import boots as store
from kit.store import undated
from kit.store.boots import BootRow, Marks
from kit.store.database import Database
from kit.store.facts import count_change, get_fact, put_fact
from kit.timekeeping import Boot, Report, TimeState, begin, believable, hear, place, watch
from kit.unit_clock import LOOK_AGAIN_S, UnitClock, read_state

log = logging.getLogger(__name__)

POLL_S = 1.0
"""Real seconds between two looks for somebody who told the time."""

HEARTBEAT_S = 300.0
"""How often the last known time is written down: after a power cut the kit's guess is late by the time it was off
and at most this. Each costs one commit."""

STEERED_S = 0.001
"""A smaller change of the offset is the noise of reading two clocks one after the other."""

GPS_EVERY_S = 60.0

HOLD_MS = 900_000
"""A reading waits so long for its true time before it leaves for the core with a guess that can be believed: as long as
a batch waits to be full. A kit that has a link learns the time over that same link first."""

HOLD_UNLIKELY_MS = 24 * 3_600_000
"""And so long where the guess is from before any kit was made, or only counts on from the last time that was known."""

CORE_UNSURE_FACT = "time/core-unsure"
"""`{boot}`: in that boot the core said that it does not know the time either, so that waiting for it is in vain."""

ROWS_AT_ONCE = 2_000
"""Readings moved in one transaction."""

SUBJECT = "clock"
"""What pages that depend on the time's being trusted show."""

PROBLEM_GPS = "problem/gps"


class Timekeeper:
    """Belongs to one thread.

    Args:
        database: the kit's store, open.
        clock: the unit's; anything but a `UnitClock` (a simulation) needs no keeping.
        gps: a receiver, or None.
        rows_at_once: readings moved in one transaction.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        gps: TimeSource | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        self._database = database
        self._clock = clock
        self._gps = gps
        self._rows_at_once = rows_at_once
        self._beat_s: float | None = None
        self._gps_s: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            self.step()
            stop.wait(POLL_S)

    def step(self) -> None:
        """Take in what the machine, a receiver and people say; move what has to be moved."""
        clock = self._clock
        if not isinstance(clock, UnitClock):
            return
        self._ask_gps(clock)
        with clock.keep() as write:
            connection = self._database.connection
            before = read_state(clock.file)
            state = self._consider(clock, before)
            marks = store.last_written(connection)
            moved = before is None or before.boot != state.boot or abs(before.offset_s - state.offset_s) >= STEERED_S
            if moved or before is None or _worth_writing(before, state) or self._heart_beats(clock):
                write(state)
            if moved and before is not None:
                clock.sleep(2 * LOOK_AGAIN_S)
            self._settle(clock, state, marks, tell=moved or before is None or before.trusted != state.trusted)

    def _consider(self, clock: UnitClock, before: TimeState | None) -> TimeState:
        connection = self._database.connection
        look = clock.look()
        floor_s = store.latest_time_s(connection)
        state = watch(before or begin(look, None, floor_s=floor_s), look, floor_s=floor_s)
        for report in store.time_reports(connection, after=state.heard):
            state = replace(state, heard=report.number)
            if report.boot == state.boot:
                said = Report(
                    source=report.source,
                    who=report.who,
                    wall_s=report.wall_ms / 1000,
                    monotonic_s=report.mono_ms / 1000,
                )
                state = hear(state, said)
        if before is None or before.offset_s != state.offset_s or before.source != state.source:
            log.info("time by %s: %s", state.source, state.step_why or "as the machine shows")
        return state

    def _heart_beats(self, clock: UnitClock) -> bool:
        now_s = clock.monotonic()
        if self._beat_s is not None and 0 <= now_s - self._beat_s < HEARTBEAT_S:
            return False
        self._beat_s = now_s
        return True

    def _settle(self, clock: UnitClock, state: TimeState, marks: Marks, *, tell: bool) -> None:
        database, up_ms = self._database, round(clock.monotonic() * 1000)
        offset_ms = round(state.offset_s * 1000)
        row = next((each for each in store.boots(database.connection) if each.boot == state.boot), None)
        due = row is None or abs(row.offset_ms - offset_ms) > 1 or bool(row.known) != state.trusted
        due = due or (row is not None and row.source != state.source)
        beat = row is not None and up_ms - row.last_ms >= HEARTBEAT_S * 1000
        if due or beat or tell or (row is not None and bool(row.firm) != state.firm):
            with database.atomic() as connection:
                number = store.boot_number(connection, state.boot, mono_ms=up_ms, offset_ms=offset_ms)
                connection.execute("UPDATE boots SET last_ms = max(last_ms, ?) WHERE number = ?", (up_ms, number))
                row = next(each for each in store.boots(connection) if each.number == number)
                store.settle_boot(
                    connection,
                    row,
                    offset_ms=offset_ms,
                    source=state.source,
                    known=state.trusted,
                    firm=state.firm,
                    marks=marks,
                )
                if state.trusted:
                    _place_earlier(connection, marks)
                if tell or due:
                    count_change(connection, SUBJECT)
        self._move(up_ms)

    def _move(self, up_ms: int) -> None:
        """Readings to where their boots' offsets put them, and off to the core what need not wait any longer."""
        connection = self._database.connection
        if connection.execute("SELECT 1 FROM undated_readings LIMIT 1").fetchone() is None:
            return
        rows, limit = store.boots(connection), self._rows_at_once
        settled = bool(rows[-1].known)
        for row in rows:
            final = bool(row.known) or settled
            while self._some(partial(_move_some, row=row, final=final, limit=limit)):
                pass
            patience_ms = None if final else self._patience_ms(row, up_ms)
            if patience_ms is not None and row is not rows[-1]:
                patience_ms = 2**61 if patience_ms > 0 else 0
            while self._some(partial(undated.release_readings, row=row, limit=limit, before_mono_ms=patience_ms)):
                pass
            if row.firm or (settled and row is not rows[-1]):
                self._some(partial(undated.forget_undated, row=row))
        self._some(undated.bound_undated)

    def _patience_ms(self, row: BootRow, up_ms: int) -> int:
        """What came in before it (ms since boot) has waited long enough for its true time."""
        if row.source == "none" or not believable((up_ms + row.offset_ms) / 1000):
            return up_ms - HOLD_UNLIKELY_MS
        unsure = get_fact(self._database.connection, CORE_UNSURE_FACT)
        in_vain = unsure is not None and unsure[1].get("boot") == row.boot
        return up_ms if in_vain else up_ms - HOLD_MS

    def _some(self, act: Callable[[sqlite3.Connection], int]) -> bool:
        with self._database.atomic() as connection:
            count = act(connection)
            if count:
                count_change(connection, "readings")
        return count > 0

    def _ask_gps(self, clock: UnitClock) -> None:
        now_s = clock.monotonic()
        if self._gps is None or (self._gps_s is not None and 0 <= now_s - self._gps_s < GPS_EVERY_S):
            return
        self._gps_s = now_s
        problem = ""
        try:
            fix = self._gps.read()
        except HardwareError as error:
            fix, problem = None, str(error)
        told = get_fact(self._database.connection, PROBLEM_GPS)
        if (told[1].get("problem", "") if told else "") != problem:
            with self._database.atomic() as connection:
                put_fact(connection, PROBLEM_GPS, {"problem": problem}, at_ms=int(clock.now() * 1000))
        if fix is not None:
            tell_time(self._database, clock, source="gps", who="gps", wall_s=fix.unix_s)


def tell_time(database: Database, clock: Clock, *, source: str, who: str, wall_s: float) -> int:
    """Say what the time is, as of now; the keeper decides what to make of it. Returns the report's number.

    Args:
        database: the kit's store.
        clock: the unit's.
        source: a name in `kit.timekeeping.SOURCES`.
        who: tells two phones apart.
        wall_s: Unix seconds.
    """
    with database.atomic() as connection:
        return store.report_time(
            connection,
            boot=clock.boot,
            mono_ms=round(clock.monotonic() * 1000),
            source=source,
            who=who,
            wall_ms=round(wall_s * 1000),
        )


def _move_some(connection: sqlite3.Connection, *, row: BootRow, final: bool, limit: int) -> int:
    due = connection.execute(
        "SELECT 1 FROM undated_readings WHERE boot = ? AND moved = 0 AND (? OR offset_ms != ?) LIMIT 1",
        (row.number, final, row.offset_ms),
    ).fetchone()
    return undated.move_readings(connection, row, limit=limit) if due is not None else 0


def _worth_writing(before: TimeState, state: TimeState) -> bool:
    """Whether anything but the passing of time has changed."""
    return _lasting(before) != _lasting(state)


def core_is_unsure(database: Database, clock: Clock) -> None:
    """The core does not know the time either: what waits for it need not wait any longer."""
    told = get_fact(database.connection, CORE_UNSURE_FACT)
    if not clock.trusted and (told is None or told[1].get("boot") != clock.boot):
        with database.atomic() as connection:
            put_fact(connection, CORE_UNSURE_FACT, {"boot": clock.boot}, at_ms=int(clock.now() * 1000))


def _lasting(state: TimeState) -> TimeState:
    return replace(state, shown_s=0.0, known_s=0.0, machine_offset_s=0.0, offset_s=0.0)


def _place_earlier(connection: sqlite3.Connection, marks: Marks) -> None:
    """Boots whose time never became known lie between their neighbours."""
    store.note_ends(connection)
    rows = {row.number: row for row in store.boots(connection)}
    line = [
        Boot(
            number=row.number,
            first_ms=row.first_ms,
            last_ms=row.last_ms,
            offset_ms=row.offset_ms,
            known=bool(row.known),
        )
        for row in rows.values()
    ]
    for number, offset_ms in place(line).items():
        row = rows[number]
        store.settle_boot(connection, row, offset_ms=offset_ms, source="between", known=False, firm=False, marks=marks)
