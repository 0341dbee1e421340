"""Reads the battery now and then and leaves the fact `power` for the status, the TUI and the pages."""

from __future__ import annotations

import threading

from hardware.ports import HardwareError, Power
from kit.clock import Clock
from kit.home import Home
from kit.run.schema import open_unit_store
from kit.store.facts import get_fact, put_fact

EVERY_S = 60.0
"""A battery changes slowly; each look that finds a change costs one commit on the SD card."""

POWER_FACT = "power"


class PowerWatch:
    """A job of the `collect` process.

    Args:
        home: the unit.
        power: the battery, or None where the unit has no gauge.
        clock: paces the looks.
    """

    def __init__(self, home: Home, power: Power | None, clock: Clock) -> None:
        self._home, self._power, self._clock = home, power, clock

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`."""
        if self._power is None:
            stop.wait()
            return
        with open_unit_store(self._home) as database:
            while not stop.is_set():
                value = self._look(self._power)
                with database.atomic() as connection:
                    told = get_fact(connection, POWER_FACT)
                    if told is None or told[1] != value:
                        put_fact(connection, POWER_FACT, value, at_ms=int(self._clock.now() * 1000))
                stop.wait(max(0.2, self._clock.real(EVERY_S)))

    def _look(self, power: Power) -> dict[str, object]:
        try:
            reading = power.read()
        except HardwareError as error:
            return {"source": "unknown", "battery_percent": None, "charging": None, "problem": str(error)}
        percent = None if reading.battery_percent is None else round(reading.battery_percent)
        return {"source": reading.source, "battery_percent": percent, "charging": reading.charging}
