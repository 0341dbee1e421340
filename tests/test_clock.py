"""The one reader of time."""

import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kit.clock import AcceleratedClock, ManualClock, SystemClock, accelerate, open_clock


def test_without_a_simulation_the_clock_is_the_machines(tmp_path: Path) -> None:
    assert isinstance(open_clock(tmp_path / "clock.json"), SystemClock)


def test_every_process_of_a_simulated_unit_shows_the_same_time(tmp_path: Path) -> None:
    file = tmp_path / "run" / "clock.json"
    mine = accelerate(file, start_s=1_460_000_000.0, speed=1000.0)
    theirs = open_clock(file)
    assert theirs == mine
    assert theirs.trusted
    assert abs(theirs.now() - 1_460_000_000.0) < 60


def test_a_clock_left_by_a_killed_simulation_is_nobodys_time(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    accelerate(file, start_s=0.0, speed=10.0)
    told = json.loads(file.read_text())
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    file.write_text(json.dumps(told | {"pid": dead}))
    assert isinstance(open_clock(file), SystemClock)


def test_a_clock_from_before_the_last_reboot_is_nobodys_time(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    accelerate(file, start_s=0.0, speed=10.0)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"boot": "another"}))
    assert isinstance(open_clock(file), SystemClock)


def test_a_damaged_clock_file_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text("{")
    assert isinstance(open_clock(file), SystemClock)


@given(speed=st.floats(1.0, 5000.0), seconds=st.floats(0.0, 1e6))
def test_accelerated_seconds_take_proportionally_less_real_time(speed: float, seconds: float) -> None:
    clock = AcceleratedClock(start_s=0.0, started_at_s=0.0, speed=speed)
    assert clock.real(seconds) * speed == 0 or abs(clock.real(seconds) * speed - seconds) < 1e-6 * max(1.0, seconds)


def test_a_manual_clock_keeps_its_monotonic_time_when_the_wall_time_is_set() -> None:
    clock = ManualClock(at_s=100.0)
    clock.sleep(5.0)
    clock.at_s = 0.0
    assert (clock.now(), clock.monotonic(), clock.slept) == (0.0, 5.0, [5.0])
