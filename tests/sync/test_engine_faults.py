"""What a unit must survive: killed at each step in turn, out for days, rebuilt from a backup, a clock that lies."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.store.records import start_epoch, write_record
from sync.links.port import LinkState
from sync.protocol.airtime import AirtimeBudget, frame_airtime_ms

HOUR_S, DAY_S = 3600.0, 86_400.0


class Steps:
    """Counts the steps of one side, a store's commit and a frame's leaving, and cuts the power at one of them."""

    def __init__(self, world: Any, side: Any, *, at: int = 0, after: bool = False) -> None:
        self.count, self._at, self._after = 0, at, after
        self._cut = world.power_cut
        side.store = _Watched(side.store, self)
        for link in side.links:
            link.send = self._watched(link.send)
        side.start()

    def _watched(self, call: Any) -> Any:
        def watched(*args: Any, **more: Any) -> Any:
            self.count += 1
            mine = self.count == self._at
            if mine and not self._after:
                raise self._cut
            told = call(*args, **more)
            if mine:
                raise self._cut
            return told

        return watched


class _Watched:
    def __init__(self, store: Any, steps: Steps) -> None:
        self._store, self._steps = store, steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        writes = {"left", "accepted", "take", "save_session", "refill"}
        return self._steps._watched(method) if name in writes else method


def say_everything(world: Any) -> None:
    """An alert, a message, readings, something large, and an answer; until all of it is committed and acknowledged."""
    rng = random.Random(7)
    world.kit.write("alert", priority=0, body=rng.randbytes(120))
    world.kit.write("message", priority=2, body=rng.randbytes(100))
    world.kit.write("readings", priority=4, body=rng.randbytes(90))
    world.kit.write("file", priority=4, body=rng.randbytes(500))
    world.core.write("message", priority=2, body=b"hold on")
    world.live(DAY_S, step_s=1.0, until=lambda: world.kit.waiting + world.core.waiting == 0)


def all_is_well(world: Any) -> None:
    assert world.kit.waiting == world.core.waiting == 0
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows("taken_ms IS NULL")]
    assert world.kit.taken == [(1, b"hold on")]


@pytest.mark.parametrize("who", ["kit", "core"])
def test_killed_at_every_single_step_either_side_goes_on_and_nothing_is_lost_or_doubled(
    make_world: Any, who: str
) -> None:
    world = make_world()
    counted = Steps(world, getattr(world, who))
    say_everything(world)
    all_is_well(world)
    assert counted.count >= 8
    for step in range(1, counted.count + 1):
        for after in (False, True):
            world = make_world()
            Steps(world, getattr(world, who), at=step, after=after)
            say_everything(world)
            assert world.power_cuts == 1, (who, step, after)
            all_is_well(world)


def copy_of(side: Any) -> sqlite3.Connection:
    """A backup of that side's store."""
    backup = sqlite3.connect(":memory:")
    side.database.connection.backup(backup)
    return backup


def restore(side: Any, backup: sqlite3.Connection) -> None:
    """Put the backup back, and start again as `kit restore` and `kit core restore` do: in a new epoch."""
    backup.backup(side.database.connection)
    with side.database.atomic() as connection:
        start_epoch(connection)
    side.start()


def test_a_core_rebuilt_from_its_backup_is_refilled_by_the_kit(make_world: Any) -> None:
    world = make_world()
    for number in range(6):
        world.kit.write(body=world.rng.randbytes(60) + bytes((number,)))
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    backup = copy_of(world.core)
    for number in range(9):
        world.kit.write(body=world.rng.randbytes(60) + bytes((number,)))
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert len(world.core.taken) == 15
    restore(world.core, backup)
    assert len(world.core.taken) == 6
    world.kit.write("message", priority=2, body=b"are you there?")
    took_s = world.live(DAY_S, until=lambda: len(world.core.taken) == 16 and world.kit.waiting == 0)
    assert took_s < HOUR_S
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows("taken_ms IS NULL")]


def test_a_kit_restored_in_a_new_epoch_is_heard_and_gets_again_what_it_lost(make_world: Any) -> None:
    world = make_world()
    world.kit.write(body=b"before the backup")
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    backup = copy_of(world.kit)
    world.kit.write(body=b"after the backup")
    world.core.write("message", priority=2, body=b"the seeds have come", addressee="kit-orchard")
    world.live(HOUR_S, until=lambda: world.kit.waiting + world.core.waiting == 0)
    restore(world.kit, backup)
    assert world.kit.taken == []
    world.kit.write(body=b"in the new epoch")
    world.live(DAY_S, step_s=1.0, until=lambda: world.kit.waiting == 0 and bool(world.kit.taken))
    assert world.kit.taken == [(1, b"the seeds have come")]
    assert sorted(body for _, body in world.core.taken) == [
        b"after the backup", b"before the backup", b"in the new epoch",
    ]  # fmt: skip
    assert len({row["epoch"] for row in world.core.rows("taken_ms IS NOT NULL")}) == 2


@dataclass
class LyingClock:
    """The world's clock as a unit sees it whose own is wrong, and who knows it."""

    clock: Any
    off_s: float
    trusted: bool = False
    boot: str = "lying"

    def now(self) -> float:
        return float(self.clock.now() + self.off_s)

    def monotonic(self) -> float:
        return float(self.clock.monotonic())

    def real(self, seconds: float) -> float:
        return float(self.clock.real(seconds))

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


@pytest.mark.parametrize("off_s", [-1_790_000_000.0, +315_360_000.0], ids=["1970", "2036"])
@pytest.mark.parametrize("who", ["kit", "core"])
def test_a_clock_ten_years_off_dates_nothing_wrongly_and_expires_nothing_early(
    make_world: Any, who: str, off_s: float
) -> None:
    world = make_world()
    liar = getattr(world, who)
    liar.world = SimpleNamespace(clock=LyingClock(world.clock, off_s), rng=world.rng)
    liar.start()
    written_ms = world.now_ms
    for link in world.kit.links:
        link.plugged = False
    shown_ms = written_ms + int((off_s if who == "kit" else 0.0) * 1000)
    with world.kit.database.atomic() as connection:
        write_record(connection, kind="alert", priority=0, body=b"frost", created_ms=shown_ms, lifetime_s=7200)
        write_record(connection, kind="forecast", priority=3, body=b"stale", created_ms=shown_ms, lifetime_s=600)
    world.live(HOUR_S)
    for link in world.kit.links:
        link.plugged = True
    world.live(HOUR_S, until=lambda: bool(world.core.taken))
    world.live(300)
    rows = world.core.rows("taken_ms IS NOT NULL")
    assert [row["kind"] for row in rows] == ["alert"]
    believed_ms = written_ms if who == "kit" else shown_ms
    assert abs(rows[0]["created_ms"] - believed_ms) < 30_000


class MeteredLink:
    """Wraps a link of the world in a region's airtime budget."""

    def __init__(self, link: Any, share: float) -> None:
        self._link, self._budget = link, AirtimeBudget(share)
        self.spent: list[tuple[float, float, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def state(self) -> LinkState:
        full_ms = frame_airtime_ms(214, "LONG_FAST")
        if self._link.state() is LinkState.UP and self._budget.left_ms(self._now(), priority=1) < full_ms:
            return LinkState.BUSY
        return LinkState(self._link.state())

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        cost_ms = frame_airtime_ms(len(frame), "LONG_FAST")
        if cost_ms > self._budget.left_ms(self._now(), priority=priority):
            return False
        if not self._link.send(frame, priority=priority, to=to):
            return False
        assert self._budget.spend(cost_ms, priority=priority, now=self._now())
        self.spent.append((self._now(), cost_ms / 1000, priority))
        return True

    def _now(self) -> float:
        return float(self._link._medium.clock.monotonic())


def test_after_three_days_out_the_alerts_go_first_and_no_hour_holds_more_air_than_the_law(make_world: Any) -> None:
    world = make_world()
    metered = MeteredLink(world.kit.links[0], share=0.025)
    world.kit.links[0] = metered
    world.kit.start()
    world.live(600)
    world.core.links[0].plugged = False
    for day in range(3):
        for _ in range(4):  # 1,152 readings: twelve packed batches of 96
            world.kit.write("readings", priority=4, body=world.rng.randbytes(120))
        for _ in range(14 if day else 12):
            world.kit.write("message", priority=2, body=world.rng.randbytes(110))
        world.live(DAY_S, step_s=30.0)
        world.kit.write("alert", priority=0, body=world.rng.randbytes(130))
    world.core.links[0].plugged = True
    took_s = world.live(DAY_S, step_s=1.0, until=lambda: world.kit.waiting == 0)
    kinds = [row["kind"] for row in world.core.rows("taken_ms IS NOT NULL")]
    assert sorted(kinds) == ["alert"] * 3 + ["message"] * 40 + ["readings"] * 12
    assert set(kinds[:3]) == {"alert"}
    assert took_s < 3 * HOUR_S
    for start_s, _, _ in metered.spent:
        inside = sum(cost for at, cost, _ in metered.spent if start_s <= at < start_s + HOUR_S)
        assert inside <= 0.025 * HOUR_S + 0.001


def test_a_transfer_that_was_broken_off_goes_on_after_a_week(make_world: Any) -> None:
    world = make_world()
    body = world.rng.randbytes(12_000)
    world.kit.write("file", priority=4, body=body)
    world.live(60)
    sent = sum(len(frame) for _, who, _, frame in world.air.log if "kit" in who)
    assert 4000 < sent < 9000
    world.core.links[0].plugged = False
    world.live(7 * DAY_S, step_s=120.0)
    world.core.links[0].plugged = True
    before = len(world.air.log)
    world.live(DAY_S, step_s=1.0, until=lambda: world.kit.waiting == 0)
    assert world.core.taken == [(1, body)]
    later = sum(len(frame) for _, who, _, frame in world.air.log[before:] if "kit" in who)
    assert later < 12_000


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 213), flip=st.integers(0, 1711), seed=st.integers(0, 5))
def test_cut_damaged_reflected_and_foreign_frames_change_nothing(
    make_world: Any, cut: int, flip: int, seed: int
) -> None:
    world = make_world(seed=seed)
    world.kit.write(body=world.rng.randbytes(150))
    world.core.write("message", priority=2, body=b"yes")
    world.live(120, until=lambda: world.kit.waiting + world.core.waiting == 0)
    before = (world.core.taken, world.kit.taken)
    for frame in [frame for *_, frame in world.air.log]:
        damaged = bytearray(frame)
        damaged[flip // 8 % len(frame)] ^= 1 << flip % 8
        foreign = bytes((frame[0],)) + bytes((frame[1] ^ 1,)) + frame[2:]
        for forged in (frame[: min(cut, len(frame) - 1)], bytes(damaged), foreign, frame):
            for link in (world.kit.links[0], world.core.links[0]):  # back to where it came from, too
                world.air.carry(link, forged, world.clock.monotonic(), 4)
    world.live(30)
    assert (world.core.taken, world.kit.taken) == before
    world.kit.write(body=b"and still they talk")
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert world.core.taken[-1][1] == b"and still they talk"
