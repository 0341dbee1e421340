"""Boots in 1970 and in ten years, steps, and learning the time late: nothing is lost and nothing changes its order."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.simulated.gps import SimulatedGps
from kit.alerts.lifecycle import Alerts
from kit.clock import EARLIEST_BELIEVABLE_S, ManualClock
from kit.collect.batching import Batcher
from kit.collect.dating import Dates
from kit.collect.ingest import Ingest
from kit.collect.timekeeper import HOLD_MS, HOLD_UNLIKELY_MS, ROWS_AT_ONCE, Timekeeper, core_is_unsure, tell_time
from kit.model.alert import Alert, AlertText, Area, Category, Certainty, MsgType, Severity, Urgency
from kit.model.batch import decode_batch
from kit.model.ledger import LedgerFile
from kit.model.messages import Published
from kit.model.readings import Quality
from kit.store.boots import boots, latest_time_in
from kit.store.database import Database
from kit.store.joining import current_code, use_code
from kit.store.readings import count_unsynced, find_readings, latest_readings, sensors
from kit.store.reckoning import reckon
from kit.store.records import set_origin
from kit.store.schema import MIGRATIONS
from kit.store.undated import count_undated
from kit.unit_clock import UnitClock

TRUE = EARLIEST_BELIEVABLE_S + 300 * 86_400
DAY = 86_400.0


@dataclass
class Kit:
    """A unit on a machine whose clock does what the test says, with one sensor that sends no times."""

    directory: Path
    machine: ManualClock = field(default_factory=lambda: ManualClock(trusted=False, boot="boot-1", up_s=20.0))
    true_s: float = TRUE
    sent: list[float] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)
    database: Database = field(init=False)
    gps: SimulatedGps | None = None
    rows_at_once: int = ROWS_AT_ONCE

    def __post_init__(self) -> None:
        self.database = Database(self.directory / "kit.db", migrations=MIGRATIONS)
        self.database.open()
        with self.database.atomic() as connection:
            set_origin(connection, "kit-x")
        self.start()

    def start(self) -> None:
        """The processes start."""
        file = self.directory / "run" / "time.json"
        self.clock = UnitClock(self.machine, file, floor_s=lambda: latest_time_in(self.directory / "kit.db"))
        self.ingest = Ingest(self.clock)
        self.keeper = Timekeeper(self.database, self.clock, gps=self.gps, rows_at_once=self.rows_at_once)

    def pass_time(self, seconds: float) -> None:
        self.machine.advance(seconds)
        self.true_s += seconds

    def reboot(self, *, wall_s: float, off_s: float = 3600.0) -> None:
        self.true_s += off_s
        number = int(self.machine.boot.partition("-")[2]) + 1
        self.machine = ManualClock(at_s=wall_s, trusted=False, boot=f"boot-{number}", up_s=20.0)
        self.true_s += 20.0
        self.start()

    def measure(self, times: int = 1) -> None:
        """One message; several values in it were measured 10 ms after each other, the last one now."""
        values = [float(len(self.sent) + place) for place in range(times)]
        ago_s = [0.01 * (times - 1 - place) for place in range(times)]
        self.sent += values
        self.taken_at += [self.true_s - ago for ago in ago_s]
        told = [
            {"n": "weight", "u": "kg", "v": value, **({"t": -ago} if ago else {})}
            for value, ago in zip(values, ago_s, strict=True)
        ]
        payload = json.dumps(told).encode()
        message = Published(
            username="s",
            client_id="c",
            topic="sensors/s",
            payload=payload,
            qos=0,
            retain=False,
            duplicate=False,
            packet_id=None,
            received_ms=int(self.clock.now() * 1000),
        )
        with self.database.atomic() as connection:
            self.ingest(connection, [message])

    def told(self, source: str, wall_s: float, who: str = "x") -> None:
        tell_time(self.database, self.clock, source=source, who=who, wall_s=wall_s)
        before = self.machine.monotonic()
        self.keeper.step()
        self.true_s += self.machine.monotonic() - before

    def step(self) -> None:
        before = self.machine.monotonic()
        self.keeper.step()
        self.true_s += self.machine.monotonic() - before

    @property
    def rows(self) -> list[tuple[float, float, str]]:
        return [(row.time_ms / 1000, row.value, row.quality_word) for row in find_readings(self.database.connection)]

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Kit]]:
    made: list[Kit] = []

    def build(**machine: Any) -> Kit:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        kit = Kit(directory, machine=ManualClock(**{"trusted": False, "boot": "boot-1", "up_s": 20.0, **machine}))
        made.append(kit)
        return kit

    yield build
    for kit in made:
        kit.close()


def _frost(kit: Kit) -> Alert:
    now_ms = int(kit.clock.now() * 1000)
    return Alert(
        identifier="frost-1",
        sender="kit-x",
        sent_ms=now_ms,
        msg_type=MsgType.ALERT,
        event="Frost",
        category=Category.MET,
        urgency=Urgency.EXPECTED,
        severity=Severity.SEVERE,
        certainty=Certainty.LIKELY,
        onset_ms=now_ms + 3_600_000,
        expires_ms=now_ms + 8 * 3_600_000,
        area=Area("village"),
        infos=(AlertText(language="en", event="Frost", headline="Frost", instruction="Cover"),),
    )


def test_a_kit_that_boots_in_1970_gives_its_readings_their_true_times_later(make: Callable[..., Kit]) -> None:
    kit = make(at_s=20.0)
    kit.step()
    for _ in range(3):
        kit.pass_time(60.0)
        kit.measure()
    assert {row[2] for row in kit.rows} == {"time_guessed+time_doubtful"}
    kit.told("technician", kit.true_s)
    assert [row[1:] for row in kit.rows] == [(0.0, "good"), (1.0, "good"), (2.0, "good")]
    assert [row[0] for row in kit.rows] == pytest.approx(kit.taken_at, abs=0.01)
    newest = latest_readings(kit.database.connection)[0]
    assert newest.time_ms / 1000 == pytest.approx(kit.taken_at[-1], abs=0.01)
    assert sensors(kit.database.connection, int(kit.clock.now() * 1000))[0].age_s == pytest.approx(0.4, abs=0.5)


def test_readings_wait_for_their_true_time_before_they_leave_for_the_core(make: Callable[..., Kit]) -> None:
    kit = make(at_s=20.0)
    kit.measure()
    kit.pass_time(3600.0)
    Batcher(kit.database, kit.clock).step()
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 0
    kit.told("core", kit.true_s)
    kit.pass_time(1000.0)
    Batcher(kit.database, kit.clock).step()
    bodies = kit.database.connection.execute("SELECT body FROM records WHERE kind = 'readings'").fetchall()
    assert [r.time_ms / 1000 for r in decode_batch(bytes(bodies[0][0]))] == pytest.approx(kit.taken_at, abs=0.01)
    assert count_undated(kit.database.connection, 1) == 0


@pytest.mark.parametrize(("wall_s", "hold_ms"), [(TRUE, HOLD_MS), (20.0, HOLD_UNLIKELY_MS)])
def test_a_kit_that_never_learns_the_time_sends_its_readings_with_the_guess_after_a_while(
    make: Callable[..., Kit], wall_s: float, hold_ms: int
) -> None:
    kit = make(at_s=wall_s)
    kit.measure()
    kit.pass_time(hold_ms / 1000 - 60)
    kit.step()
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 0
    kit.pass_time(120.0)
    kit.step()
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 1
    kit.told("gps", kit.true_s + 500.0)
    assert kit.rows[0][0] == pytest.approx(kit.taken_at[0] + 500.0, abs=0.1)
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 1


def test_where_the_core_does_not_know_the_time_either_nothing_waits_for_it(make: Callable[..., Kit]) -> None:
    kit = make(at_s=TRUE)
    kit.measure()  # the first thing that happens in this boot, before its time is kept
    kit.pass_time(5.0)
    kit.step()
    core_is_unsure(kit.database, kit.clock)
    kit.step()
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 1


def test_a_warning_its_receipt_and_their_records_move_along_and_do_not_expire(make: Callable[..., Kit]) -> None:
    kit = make(at_s=EARLIEST_BELIEVABLE_S + DAY)
    kit.step()
    alerts = Alerts(kit.database, kit.clock, sender="kit-x", area="village")
    alerts.raise_alert(_frost(kit))
    kit.pass_time(60.0)
    alerts.confirm("frost-1", person="Amina", channel="web")
    raised_s = kit.true_s - 60.0
    kit.told("technician", kit.true_s)
    state = alerts.active()[0]
    assert state.alert.sent_ms / 1000 == pytest.approx(raised_s, abs=1)
    assert (state.alert.onset_ms or 0) / 1000 == pytest.approx(raised_s + 3600, abs=1)
    assert state.receipts[0].at_ms / 1000 == pytest.approx(raised_s + 60, abs=1)
    rows = kit.database.connection.execute("SELECT kind, created_ms, body FROM records ORDER BY number").fetchall()
    assert [row["created_ms"] / 1000 for row in rows] == pytest.approx([raised_s, raised_s + 60], abs=1)
    assert cbor2.loads(rows[0]["body"])[3] == pytest.approx(raised_s, abs=1)
    assert cbor2.loads(rows[1]["body"])[4] / 1000 == pytest.approx(raised_s + 60, abs=1)


def test_what_was_written_after_the_change_is_not_moved_again(make: Callable[..., Kit]) -> None:
    kit = make(at_s=TRUE - DAY)
    kit.step()
    kit.told("technician", kit.true_s)
    alerts = Alerts(kit.database, kit.clock, sender="kit-x", area="village")
    alerts.raise_alert(_frost(kit))
    sent_s = kit.true_s
    kit.pass_time(600.0)
    kit.told("gps", kit.true_s)
    assert alerts.get("frost-1").alert.sent_ms / 1000 == pytest.approx(sent_s, abs=1)


def test_a_boot_whose_time_never_became_known_lies_between_its_neighbours(make: Callable[..., Kit]) -> None:
    kit = make(at_s=TRUE)
    kit.told("gps", kit.true_s)
    kit.measure()
    kit.reboot(wall_s=TRUE + 900 * DAY)  # its clock is far ahead and nobody corrects it
    kit.step()
    for _ in range(3):
        kit.pass_time(60.0)
        kit.measure()
    kit.step()
    kit.reboot(wall_s=20.0)
    kit.step()
    kit.measure()
    kit.pass_time(60.0)
    kit.told("core", kit.true_s)
    assert [row[1] for row in kit.rows] == kit.sent
    assert [row[2] for row in kit.rows] == ["good", *["time_guessed"] * 3, "good"]
    assert kit.rows[-1][0] == pytest.approx(kit.taken_at[-1], abs=1)
    assert [row.known for row in boots(kit.database.connection)] == [1, 0, 1]
    assert kit.database.connection.execute("SELECT count(*) FROM undated_readings").fetchone()[0] == 0
    assert count_unsynced(kit.database.connection, at_most=9)[0] == 5


DEATHS = {
    "among the readings of the second transaction": "UPDATE OF time_ms ON main.readings "
    f"WHEN (SELECT count(*) FROM readings WHERE code >> 3 & {int(Quality.TIME_GUESSED)} = 0) = 10",
    "when the second has moved all of its readings": "DELETE ON main.undated_readings "
    "WHEN EXISTS (SELECT 1 FROM undated_readings WHERE moved)",
    "when the second notes which it has moved": "INSERT ON main.undated_readings WHEN NEW.moved "
    "AND EXISTS (SELECT 1 FROM undated_readings WHERE moved)",
    "when the second notes which are still to be moved": "INSERT ON main.undated_readings WHEN NOT NEW.moved "
    "AND EXISTS (SELECT 1 FROM undated_readings WHERE moved)",
}


@pytest.mark.parametrize("moment", DEATHS)
def test_killed_while_readings_are_moved_the_keeper_goes_on_where_it_was(make: Callable[..., Kit], moment: str) -> None:
    kit = make(at_s=20.0)
    kit.rows_at_once = 7
    kit.start()
    kit.step()
    for _ in range(10):
        kit.pass_time(1.0)
        kit.measure(3)
    # what the transaction had moved is undone, as after a kill
    kit.database.connection.execute(
        f"CREATE TEMP TRIGGER death BEFORE {DEATHS[moment]} BEGIN SELECT raise(ABORT, 'killed'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="killed"):
        kit.told("core", kit.true_s)
    assert 30 - count_undated(kit.database.connection, 1, unmoved_only=True) == kit.rows_at_once
    assert count_undated(kit.database.connection, 1) == 30
    kit.database.connection.execute("DROP TRIGGER death")
    kit.start()
    kit.step()
    kit.step()
    assert [row[1] for row in kit.rows] == kit.sent
    assert [row[0] for row in kit.rows] == pytest.approx(kit.taken_at, abs=0.5)


def test_a_reading_is_dated_by_the_very_offset_of_its_boot_at_any_fraction_of_a_millisecond(
    make: Callable[..., Kit],
) -> None:
    kit = make(at_s=TRUE + 0.0003, up_s=20.0001)
    kit.step()
    for _ in range(20):
        kit.pass_time(0.1007003)
        kit.measure()
    dated = kit.database.connection.execute("SELECT DISTINCT offset_ms FROM undated_readings").fetchall()
    assert [offset_ms for (offset_ms,) in dated] == [boots(kit.database.connection)[0].offset_ms]
    before = kit.rows
    kit.step()
    assert kit.rows == before


def test_what_comes_in_one_boot_is_dated_by_one_offset_until_the_time_is_set(make: Callable[..., Kit]) -> None:
    """Also where it lies between two milliseconds, and the moment between two looks at clocks decides."""
    machine = ManualClock(trusted=False, boot="boot-1")
    dates, connection, offsets = Dates(machine), make().database.connection, []
    for seconds in range(20):
        machine.at_s, machine.up_s = TRUE + seconds, 20.0 + seconds + 0.0005 + (2e-6 if seconds % 2 else -2e-6)
        undated = dates.now(connection, round(machine.at_s * 1000)).undated
        assert undated is not None
        offsets.append(undated.offset_ms)
    assert len(set(offsets)) == 1
    machine.at_s += 0.01
    undated = dates.now(connection, round(machine.at_s * 1000)).undated
    assert undated is not None
    assert undated.offset_ms - offsets[0] in (9, 10)


def test_a_receiver_of_satellites_tells_the_time(make: Callable[..., Kit], tmp_path: Path) -> None:
    kit = make(at_s=20.0)
    file = tmp_path / "gps.json"
    kit.gps = SimulatedGps(file, kit.machine)
    kit.start()
    file.write_text(json.dumps({"broken": True}))
    kit.step()
    problem = kit.database.connection.execute("SELECT value FROM facts WHERE name = 'problem/gps'").fetchone()
    assert "check its lead" in problem[0]
    assert not kit.clock.trusted
    file.write_text(json.dumps({"booted_at_s": kit.true_s - kit.machine.monotonic()}))
    kit.pass_time(61.0)
    kit.step()
    assert kit.clock.state.source == "gps"
    assert kit.clock.now() == pytest.approx(kit.true_s, abs=0.1)


Event = tuple[str, float]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("measure"), st.floats(1.0, 600.0)),
        st.tuples(st.just("measure"), st.floats(1.0, 600.0)),
        st.tuples(st.just("jump"), st.floats(-4e8, 4e8)),
        st.tuples(st.just("restart"), st.floats(1.0, 30.0)),
        st.tuples(st.just("reboot in 1970"), st.floats(60.0, 1e6)),
        st.tuples(st.just("reboot ahead"), st.floats(60.0, 1e6)),
        st.tuples(st.just("reboot as it was"), st.floats(60.0, 1e6)),
        st.tuples(st.just("phone"), st.floats(-5e6, 5e6)),
        st.tuples(st.just("true"), st.floats(1.0, 5.0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, source=st.sampled_from(["core", "gps", "technician"]))
def test_through_any_boots_and_steps_no_reading_is_lost_or_reordered(
    make: Callable[..., Kit], events: list[Event], source: str
) -> None:
    """And whatever was taken in a boot that learns the truth has the true time in the end."""
    kit = make(at_s=TRUE)
    sure: list[bool] = []
    boot_of: list[str] = []
    learned: set[str] = set()
    for what, amount in [*events, ("measure", 5.0), ("true", 1.0)]:
        kit.pass_time(amount if what in ("measure", "restart", "true") else 1.0)
        if what == "measure":
            kit.measure()
            boot_of.append(kit.machine.boot)
        elif what == "jump":
            kit.machine.at_s += amount
            kit.step()
        elif what == "restart":
            kit.start()
            kit.step()
        elif what == "phone":
            kit.told("phone", kit.true_s + amount, who=str(amount))
        elif what == "true":
            kit.told(source, kit.true_s)
            learned.add(kit.machine.boot)
        else:
            wall = {"reboot in 1970": 20.0, "reboot ahead": kit.true_s + 3650 * DAY}.get(what, kit.machine.now())
            kit.reboot(wall_s=wall, off_s=amount)
            kit.step()
    kit.step()
    rows = kit.rows
    assert [row[1] for row in rows] == kit.sent
    sure = [boot in learned for boot in boot_of]
    for (time_s, _, quality), at_s, known in zip(rows, kit.taken_at, sure, strict=True):
        if known:
            assert time_s == pytest.approx(at_s, abs=31.0 if source == "technician" else 6.0)
            assert "time_guessed" not in quality


def test_the_power_cut_ledger_finds_what_was_acknowledged_under_a_guess(make: Callable[..., Kit]) -> None:
    kit = make(at_s=20.0)
    kit.step()
    for _ in range(3):
        kit.pass_time(60.0)
        kit.measure()
    connection = kit.database.connection
    acknowledged = [tuple(row) for row in connection.execute("SELECT series, time_ms FROM readings")]
    told = LedgerFile(readings=acknowledged, series={acknowledged[0][0]: ("s", "weight", "kg")})
    assert reckon([[told]], connection).lost == 0
    kit.told("phone", kit.true_s + 5000, who="one")
    kit.told("core", kit.true_s)
    assert {row[1] for row in acknowledged}.isdisjoint(
        row[0] for row in connection.execute("SELECT time_ms FROM readings")
    )
    assert reckon([[told]], connection).lost == 0
    connection.execute("DELETE FROM readings WHERE time_ms = (SELECT max(time_ms) FROM readings)")
    assert reckon([[told]], connection).lost == 1


def test_a_code_on_the_screen_stays_good_when_the_time_is_learned(make: Callable[..., Kit]) -> None:
    kit = make(at_s=20.0)
    kit.step()
    with kit.database.atomic() as connection:
        code, _ = current_code(connection, now_ms=int(kit.clock.now() * 1000))
    kit.pass_time(5.0)
    kit.told("technician", kit.true_s)
    with kit.database.atomic() as connection:
        used = use_code(connection, code, client_id="new", address="", now_ms=int(kit.clock.now() * 1000))
    assert used is not None
