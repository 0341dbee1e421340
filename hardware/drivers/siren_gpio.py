"""A siren on a relay at a GPIO pin of the board, through gpiozero.

The pin is claimed at the first use and is low until then and after `close`; a process that was killed while the siren
sounded switches it off when it comes back and opens the pin. A thread per sounding ends it, so the caller need not
stay.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Any, Self

from hardware.ports import HardwareClock, HardwareError

LONGEST_S = 900.0
"""No warning needs a quarter of an hour of siren; a wrong setting must not drain the battery."""


RETRY_S = 5.0
"""Between two tries to switch it off: nobody else will, and the battery is not endless."""

_log = logging.getLogger(__name__)


class GpioSiren:
    """See the module.

    Args:
        pin: GPIO number (BCM), as in `gpio:17`.
        clock: kit time, for the duration.
        active_high: whether the relay closes on a high level; many relay boards close on a low one.
        pin_factory: gpiozero's pin factory; None = the one that fits the board.
    """

    def __init__(
        self, pin: int | str, clock: HardwareClock, *, active_high: bool = True, pin_factory: Any = None
    ) -> None:
        self._pin = pin
        self._clock = clock
        self._active_high = active_high
        self._pin_factory = pin_factory
        self._device: Any = None
        self._timer: threading.Timer | None = None
        self._off_at_s = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with self._lock:
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sound(self, seconds: float) -> None:
        """Start sounding, or extend it."""
        with self._lock:
            self._open()
            now_s = self._clock.monotonic()
            self._off_at_s = max(now_s + min(seconds, LONGEST_S), self._off_at_s)
            self._switch(on=True)
            self._wait_for_end(self._off_at_s - now_s)

    def silence(self) -> None:
        """Stop at once."""
        with self._lock:
            self._off_at_s = 0.0
            self._cancel_timer()
            if self._device is not None:
                self._switch(on=False)

    @property
    def sounding(self) -> bool:
        """Whether the pin is on."""
        return self._device is not None and bool(self._device.value)

    def close(self) -> None:
        """Silence it and let go of the pin."""
        self.silence()
        with self._lock:
            if self._device is not None:
                self._device.close()
                self._device = None

    def _open(self) -> None:
        if self._device is not None:
            return
        try:
            from gpiozero import DigitalOutputDevice

            self._device = DigitalOutputDevice(
                self._pin, active_high=self._active_high, initial_value=False, pin_factory=self._pin_factory
            )
        except Exception as error:
            # gpiozero raises its own, the pin library's and plain OSErrors here, by board
            raise HardwareError(
                f"the siren's pin {self._pin} cannot be used ({error}); check [siren] driver in kit.toml, "
                f"and that this board has that pin and nothing else uses it"
            ) from error

    def _switch(self, *, on: bool) -> None:
        try:
            if on:
                self._device.on()
            else:
                self._device.off()
        except Exception as error:
            raise HardwareError(f"the siren's pin {self._pin} does not answer ({error}); check the relay") from error

    def _wait_for_end(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = threading.Timer(self._clock.real(seconds), self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        with self._lock:
            # extended while this timer was already on its way: another one ends it
            if self._clock.monotonic() < self._off_at_s - 0.001 or self._device is None:
                return
            try:
                self._switch(on=False)
            except HardwareError as error:
                _log.warning("the siren goes on sounding: %s", error)
                self._wait_for_end(RETRY_S)
                return
            self._off_at_s = 0.0

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
