"""A solar panel, a battery and a steady load, as small physics that follow the clock.

The battery gains what the sun gives at that hour (a half sine from 6 to 18 o'clock local solar time) and loses what
the unit draws. It follows from the clock alone, so every process sees the same battery. Misbehaves on request: clouds,
a panel that was stolen, a gauge that does not answer.
"""

from __future__ import annotations

import math

from hardware.ports import HardwareClock, HardwareError, PowerReading

STEP_S = 300.0
DAY_S = 86_400.0
SUNRISE_H, SUNSET_H = 6.0, 18.0

CHARGE_EFFICIENCY = 0.85
"""Of panel energy that ends up in a lead-acid battery."""

SETTLE_S = 3 * DAY_S
"""How long before its first reading the model starts: by then the start level is forgotten."""


class SimulatedPower:
    """See the module.

    Args:
        clock: kit time.
        capacity_wh: of the battery.
        load_w: what the unit draws.
        panel_w: what the panel gives at noon under a clear sky.
        longitude: degrees east, for local solar time.
        start_percent: the battery three days before the first reading.
    """

    def __init__(
        self,
        clock: HardwareClock,
        *,
        capacity_wh: float = 240.0,
        load_w: float = 6.0,
        panel_w: float = 40.0,
        longitude: float = 36.3,
        start_percent: float = 70.0,
    ) -> None:
        self._clock = clock
        self._capacity_wh = capacity_wh
        self._load_w = load_w
        self._panel_w = panel_w
        self._offset_s = longitude / 360.0 * DAY_S
        self._stored_wh = capacity_wh * start_percent / 100.0
        self._at_s: float | None = None
        self._sky = 1.0
        self._gauge_answers = True

    def read(self) -> PowerReading:
        """The battery now."""
        if not self._gauge_answers:
            raise HardwareError("the battery gauge does not answer (simulated); check the I2C lead to the charger")
        self._advance(self._clock.now())
        solar_w = self._solar_w(self._clock.now())
        return PowerReading(
            source="solar" if solar_w >= self._load_w else "battery",
            battery_percent=round(100.0 * self._stored_wh / self._capacity_wh, 1),
            charging=solar_w * CHARGE_EFFICIENCY > self._load_w and self._stored_wh < self._capacity_wh,
        )

    def cloud(self, cover: float) -> None:
        """Cover the sky from 0 (clear) to 1 (black); a stolen panel is 1."""
        self._advance(self._clock.now())
        self._sky = 1.0 - min(1.0, max(0.0, cover))

    def disconnect_gauge(self) -> None:
        """From now on reading fails."""
        self._gauge_answers = False

    def reconnect_gauge(self) -> None:
        """Reading works again."""
        self._gauge_answers = True

    def _advance(self, now_s: float) -> None:
        at_s = now_s - SETTLE_S if self._at_s is None else self._at_s
        # a clock that jumped by years must not be caught up with step by step
        at_s = max(at_s, now_s - SETTLE_S)
        while at_s < now_s:
            step_s = min(STEP_S, now_s - at_s)
            gain_w = self._solar_w(at_s) * CHARGE_EFFICIENCY - self._load_w
            self._stored_wh = min(self._capacity_wh, max(0.0, self._stored_wh + gain_w * step_s / 3600.0))
            at_s += step_s
        self._at_s = now_s

    def _solar_w(self, at_s: float) -> float:
        hour = ((at_s + self._offset_s) % DAY_S) / 3600.0
        if not SUNRISE_H < hour < SUNSET_H:
            return 0.0
        return self._panel_w * self._sky * math.sin(math.pi * (hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H))
