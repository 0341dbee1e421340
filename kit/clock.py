"""The one reader of time.

A kit often has no real-time clock and sometimes lives a recorded night faster than real time. Everything that
asks what time it is, or waits, does so through a `Clock`, so that every process of a unit agrees, a test can run a
week in a second, and "the time is not known yet" is a fact that can be asked for instead of a surprise.

Two kinds of seconds are kept apart. *Kit seconds* are what a `Clock` shows; under `--sim --speed 200` they pass two
hundred times as fast as *real seconds*. Protocol timers that talk to the outside world over real sockets (connect
time-outs, an HTTP client) are real; everything the village would notice is kit time.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

EARLIEST_BELIEVABLE_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""The kit was written after this: a system clock that shows less has not been set since boot."""

_TIME_ERROR = 5
"""adjtimex(2) returns TIME_ERROR while nothing has synchronised the kernel's clock."""


class Clock(Protocol):
    """What the kit knows about time. All values are in (kit) seconds."""

    def now(self) -> float:
        """Wall time as seconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds since boot; never steps, the same in every process of the unit."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many kit seconds."""
        ...

    def real(self, seconds: float) -> float:
        """How many real seconds that many kit seconds take: the time-out to give to a socket, a queue or asyncio."""
        ...

    @property
    def trusted(self) -> bool:
        """Whether something (NTP, GPS, a phone, the core) vouches for `now`."""
        ...

    @property
    def firm(self) -> bool:
        """Whether it is so certain that what is dated by it never needs to be corrected."""
        ...

    @property
    def boot(self) -> str:
        """Names this boot of the machine; `(boot, monotonic)` orders events when wall time is unknown."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Wall time as the kernel has it."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot, suspended time included (CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def real(self, seconds: float) -> float:
        """One for one."""
        return seconds

    @property
    def trusted(self) -> bool:
        """Believable, and the kernel says it was synchronised."""
        return self.now() >= EARLIEST_BELIEVABLE_S and _kernel_clock_is_synchronised()

    @property
    def firm(self) -> bool:
        """A synchronised kernel is."""
        return self.trusted

    @property
    def boot(self) -> str:
        """The kernel's boot id."""
        return _boot_id()


@dataclass(frozen=True)
class AcceleratedClock:
    """A clock that showed `start_s` when the machine had been up for `started_at_s`; runs `speed` times as fast.

    Being tied to CLOCK_BOOTTIME, every process of the machine that knows the three numbers shows the same time.
    """

    start_s: float
    started_at_s: float
    speed: float

    def now(self) -> float:
        """Simulated wall time."""
        return self.start_s + self._passed()

    def monotonic(self) -> float:
        """Simulated seconds since boot."""
        return self.started_at_s + self._passed()

    def sleep(self, seconds: float) -> None:
        """Wait that many simulated seconds."""
        time.sleep(max(0.0, self.real(seconds)))

    def real(self, seconds: float) -> float:
        """Simulated seconds pass `speed` times as fast as real ones."""
        return seconds / self.speed

    @property
    def trusted(self) -> bool:
        """The simulation vouches for its own time."""
        return True

    @property
    def firm(self) -> bool:
        """It is what it is."""
        return True

    @property
    def boot(self) -> str:
        """The kernel's boot id."""
        return _boot_id()

    def _passed(self) -> float:
        return (time.clock_gettime(time.CLOCK_BOOTTIME) - self.started_at_s) * self.speed


@dataclass(frozen=True)
class FaultyMachine:
    """A machine whose wall clock is wrong, as a file says; for demonstrations and tests with real processes.

    The file may change at any time: `wrong_by_s` is added to the true time, `synchronised` says whether the kernel
    vouches for it, `boot_name` and `booted_at_s` (CLOCK_BOOTTIME) pretend a reboot.
    """

    file: Path

    def now(self) -> float:
        """The wrong wall time."""
        return time.time() + float(self._told().get("wrong_by_s", 0.0))

    def monotonic(self) -> float:
        """Seconds since the pretended boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - float(self._told().get("booted_at_s", 0.0))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def real(self, seconds: float) -> float:
        """One for one."""
        return seconds

    @property
    def trusted(self) -> bool:
        """As the file says."""
        return bool(self._told().get("synchronised", False)) and self.now() >= EARLIEST_BELIEVABLE_S

    @property
    def firm(self) -> bool:
        """As the file says."""
        return self.trusted

    @property
    def boot(self) -> str:
        """As the file says."""
        return str(self._told().get("boot_name", "first"))

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.file.read_text())
        return told


@dataclass
class ManualClock:
    """A clock that moves only when told: `sleep` moves it, and so does `advance`. For tests and for backtests."""

    at_s: float = 0.0
    trusted: bool = True
    boot: str = "manual"
    up_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def firm(self) -> bool:
        """As trusted."""
        return self.trusted

    def now(self) -> float:
        """Where it was moved to."""
        return self.at_s

    def monotonic(self) -> float:
        """The sum of what it was advanced by; setting `at_s` does not change it."""
        return self.up_s

    def sleep(self, seconds: float) -> None:
        """Advance instead of waiting."""
        self.slept.append(seconds)
        self.advance(seconds)

    def real(self, seconds: float) -> float:
        """No real time passes."""
        del seconds
        return 0.0

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""
        self.at_s += seconds
        self.up_s += seconds


def accelerate(file: Path, *, start_s: float, speed: float) -> AcceleratedClock:
    """Start an accelerated clock for every process of the unit whose home holds `file`."""
    clock = AcceleratedClock(start_s=start_s, started_at_s=time.clock_gettime(time.CLOCK_BOOTTIME), speed=speed)
    share(file, clock)
    return clock


def share(file: Path, clock: AcceleratedClock) -> None:
    """Let the processes of another home (the simulated city core) run on the same accelerated clock."""
    text = json.dumps(
        {
            "start_s": clock.start_s,
            "started_at_s": clock.started_at_s,
            "speed": clock.speed,
            "boot": _boot_id(),
            "pid": os.getpid(),
        },
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def open_clock(file: Path) -> Clock:
    """The machine's clock, or the simulation's while the process that started it lives.

    What a unit goes by is `kit.unit_clock.open_unit_clock`, which knows better than a machine that nobody has set.
    """
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError):
        return SystemClock()
    # a clock left behind by a killed simulation, or by one before the last reboot, is nobody's time
    if told.get("boot") != _boot_id() or not Path(f"/proc/{told.get('pid')}").exists():
        return SystemClock()
    if "wrong_by_s" in told:
        return FaultyMachine(file)
    return AcceleratedClock(
        start_s=float(told["start_s"]), started_at_s=float(told["started_at_s"]), speed=float(told["speed"])
    )


@lru_cache(maxsize=1)
def _boot_id() -> str:
    # a process lives in one boot; it is asked for with every transaction
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _kernel_clock_is_synchronised() -> bool:
    ask = _adjtimex()
    return ask is not None and 0 <= ask() < _TIME_ERROR


@lru_cache(maxsize=1)
def _adjtimex() -> Callable[[], int] | None:
    # opening the library takes a hundred times as long as asking it
    try:
        found = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    # struct timex is 208 bytes; modes=0 only reads, and what it reads is of no interest, so all may share it
    return partial(found, ctypes.create_string_buffer(512))
