"""The clock a unit goes by: seconds since boot, plus an offset that all its processes share through one file.

`UnitClock` only reads the file; `keep` changes it, under a lock. Every process looks again at most a fifth of a second
after a change. See `kit.timekeeping` for what is decided and why.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from kit.clock import AcceleratedClock, Clock, open_clock
from kit.home import Home
from kit.timekeeping import SOURCES, Look, TimeState, begin, watch

LOOK_AGAIN_S = 0.2
"""Real seconds for which a process goes by what it read last."""

TIME_FILE = "time.json"
LOCK_FILE = "time.lock"


class UnitClock:
    """See the module. Safe to use from several threads.

    Args:
        machine: the clock underneath.
        file: the shared state; where there is none for this boot, the machine decides as at a first start.
        floor_s: the latest time the store knows of, asked for only where a new boot begins.
    """

    def __init__(self, machine: Clock, file: Path, *, floor_s: Callable[[], float] = lambda: 0.0) -> None:
        self.machine = machine
        self.file = file
        self._floor_s = floor_s
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._looked_s = -LOOK_AGAIN_S
        self._state: TimeState | None = None

    @property
    def state(self) -> TimeState:
        """What is known about the time now."""
        up_s = self.machine.monotonic()
        state = self._state
        if state is not None and 0 <= up_s - self._looked_s < LOOK_AGAIN_S:
            return state
        with self._lock:
            self._looked_s = up_s
            try:
                told = self.file.stat()
                stamp = (told.st_mtime_ns, told.st_ino)
            except OSError:
                stamp = (0, 0)
            if self._state is None or stamp != self._stamp or self._state.boot != self.machine.boot:
                self._stamp = stamp
                self._state = self._read()
            return self._state

    def look_again(self) -> None:
        """Read the file at the next question."""
        self._looked_s = -LOOK_AGAIN_S

    def now(self) -> float:
        """Kit time."""
        return self.machine.monotonic() + self.state.offset_s

    def monotonic(self) -> float:
        """Seconds since boot."""
        return self.machine.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.machine.sleep(seconds)

    def real(self, seconds: float) -> float:
        """As the machine's."""
        return self.machine.real(seconds)

    @property
    def trusted(self) -> bool:
        """Whether somebody vouches for the time, in this boot."""
        return self.state.trusted

    @property
    def firm(self) -> bool:
        """Whether what is dated now will never be corrected."""
        return self.state.firm

    @property
    def boot(self) -> str:
        """The machine's boot."""
        return self.machine.boot

    def look(self) -> Look:
        """What the machine shows now."""
        return Look(
            boot=self.machine.boot,
            monotonic_s=self.machine.monotonic(),
            wall_s=self.machine.now(),
            synchronised=self.machine.trusted,
        )

    @contextmanager
    def keep(self) -> Iterator[Callable[[TimeState], None]]:
        """Hold the lock; gives the function that writes a new state for everybody. Blocks while another keeps time.

        Raises:
            OSError: the file cannot be written.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_name(LOCK_FILE).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._stamp = None
            self.look_again()
            yield self._write

    def _write(self, state: TimeState) -> None:
        fresh = self.file.with_name(self.file.name + ".new")
        fresh.write_text(json.dumps(state.as_json()))
        fresh.replace(self.file)
        self._stamp = None
        self.look_again()

    def _read(self) -> TimeState:
        before = read_state(self.file)
        look = self.look()
        if before is not None and before.boot == look.boot:
            return before
        # nobody has kept time in this boot yet: what everybody would find alike, until somebody does
        return watch(begin(look, before, floor_s=self._floor_s()), look)


def read_state(file: Path) -> TimeState | None:
    """The state in that file; None where there is none, or a damaged one."""
    try:
        return TimeState.from_json(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def open_unit_clock(home: Home, *, floor_s: Callable[[], float] = lambda: 0.0) -> Clock:
    """The clock of the unit in that home: the simulation's where one runs, else the machine's with what is known.

    Args:
        home: the unit.
        floor_s: the latest time its store knows of, Unix seconds.
    """
    machine = open_clock(home.clock_file)
    if isinstance(machine, AcceleratedClock):
        return machine
    return UnitClock(machine, home.run / TIME_FILE, floor_s=floor_s)


def open_kept_clock(home: Home, *, floor_s: Callable[[], float]) -> Clock:
    """As `open_unit_clock`, and this boot's first state is written down for every other process."""
    clock = open_unit_clock(home, floor_s=floor_s)
    if isinstance(clock, UnitClock):
        with clock.keep() as write:
            before = read_state(clock.file)
            if before is None or before.boot != clock.boot:
                look = clock.look()
                write(watch(begin(look, before, floor_s=floor_s()), look))
    return clock


def describe_clock(clock: Clock) -> dict[str, object]:
    """For the status: {trusted} and, of a unit's own clock, {source, source_words, trusted_since, last_step, …}."""
    if not isinstance(clock, UnitClock):
        return {"trusted": clock.trusted, "source": "simulation" if isinstance(clock, AcceleratedClock) else None}
    state = clock.state
    since_s = state.trusted_since_s
    step = None
    if state.step_why:
        step = {
            "time": _rfc3339(state.step_at_s),
            "seconds": round(state.step_s, 3),
            "why": state.step_why,
        }
    return {
        "trusted": state.trusted,
        "source": state.source,
        "source_words": SOURCES[state.source].words,
        "trusted_since": None if since_s is None else _rfc3339(since_s + state.offset_s),
        "last_step": step,
        "up_s": round(clock.monotonic(), 1),
        "boot": state.boot,
        "votes": len(state.votes),
        "disagrees": state.disagrees or None,
    }


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
