"""A siren that can be watched and broken.

Its state is a small file, so that another process (a demo, a test, the technician's terminal) sees whether it sounds,
and how often it did. Its relay breaks when told: by `break_relay`, or by a file named like the state with `.broken`
behind it, which any process may make.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hardware.ports import HardwareClock, HardwareError


@dataclass(frozen=True)
class SirenState:
    """What the file says.

    Attributes:
        until_s: sounds until then, Unix (kit) seconds; in the past = silent.
        times: how often it was switched on from silence.
        last_s: when it was last switched on.
    """

    until_s: float = 0.0
    times: int = 0
    last_s: float = 0.0


class SimulatedSiren:
    """See the module.

    Args:
        state_file: where its state is kept; made on the first sound.
        clock: kit time; under an accelerated clock it sounds for correspondingly fewer real seconds.
    """

    def __init__(self, state_file: Path, clock: HardwareClock) -> None:
        self._file = state_file
        self._broken = state_file.with_name(state_file.name + ".broken")
        self._clock = clock

    def sound(self, seconds: float) -> None:
        """Start sounding, or extend it."""
        if self._broken.exists():
            raise HardwareError(
                "the siren's relay does not close (simulated); check the relay's lead and its 12 V supply"
            )
        before = self.state()
        now_s = self._clock.now()
        fresh = before.until_s <= now_s
        self._write(
            SirenState(
                until_s=max(now_s + seconds, 0.0 if fresh else before.until_s),
                times=before.times + fresh,
                last_s=now_s if fresh else before.last_s,
            )
        )

    def silence(self) -> None:
        """Stop at once."""
        before = self.state()
        if before.until_s > self._clock.now():
            self._write(SirenState(until_s=self._clock.now(), times=before.times, last_s=before.last_s))

    @property
    def sounding(self) -> bool:
        """Whether it is on now."""
        return self.state().until_s > self._clock.now()

    def state(self) -> SirenState:
        """What anybody can see of it."""
        try:
            return SirenState(**json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return SirenState()

    def break_relay(self) -> None:
        """From now on it cannot be switched on."""
        self._broken.parent.mkdir(parents=True, exist_ok=True)
        self._broken.touch()

    def mend_relay(self) -> None:
        """It works again."""
        self._broken.unlink(missing_ok=True)

    def _write(self, state: SirenState) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_name(self._file.name + ".new")
            fresh.write_text(json.dumps(asdict(state)))
            fresh.replace(self._file)
        except OSError as error:
            raise HardwareError(f"the simulated siren cannot write {self._file} ({error.strerror})") from error
