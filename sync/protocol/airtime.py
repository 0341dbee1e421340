"""What a frame costs on the air, and how much of the air a unit may still use.

Sources: Semtech AN1200.13 "LoRa Modem Designer's Guide", section 4 (time on air); the Meshtastic firmware's modem
presets, 16-symbol preamble and 16-byte packet header; ETSI EN 300 220 (duty cycle).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from sync.protocol.regions import REGIONS

MESH_OVERHEAD_BYTES = 24
"""Meshtastic's clear packet header (16) and the protobuf around the payload (at most 8): 200 B of data are 224 B."""

PREAMBLE_SYMBOLS = 16
"""Longer than LoRa's usual 8: Meshtastic lets sleeping radios notice it."""

SLOW_SYMBOL_MS = 16.0
"""Above it AN1200.13 asks for low data rate optimisation."""

WINDOW_S = 3600.0
"""The duty cycle is counted over a rolling hour."""

RESERVED_SHARE = 0.1
"""Of the hour's airtime, only priority 0 may use the last tenth: about 18 LongFast frames in EU_868."""


@dataclass(frozen=True)
class Preset:
    """A modem preset: spreading factor, bandwidth in kHz, and coding rate 4/x."""

    spreading_factor: int
    bandwidth_khz: float
    coding_rate: int


PRESETS = {
    "SHORT_TURBO": Preset(7, 500.0, 5),
    "SHORT_FAST": Preset(7, 250.0, 5),
    "SHORT_SLOW": Preset(8, 250.0, 5),
    "MEDIUM_FAST": Preset(9, 250.0, 5),
    "MEDIUM_SLOW": Preset(10, 250.0, 5),
    "LONG_TURBO": Preset(11, 500.0, 8),
    "LONG_FAST": Preset(11, 250.0, 5),
    "LONG_MODERATE": Preset(11, 125.0, 8),
    "LONG_SLOW": Preset(12, 125.0, 8),
    "LITE_FAST": Preset(9, 125.0, 5),
    "LITE_SLOW": Preset(10, 125.0, 5),
    "NARROW_FAST": Preset(7, 62.5, 6),
    "NARROW_SLOW": Preset(8, 62.5, 6),
}

DUTY_CYCLE = {name: region.duty for name, region in REGIONS.items() if region.duty < 1.0}
"""Share of the hour that a radio may transmit; regions that are not here have no limit."""


def phy_airtime_ms(phy_bytes: int, preset: str) -> float:
    """Time on air, in ms, of a LoRa packet of that many bytes with explicit header and CRC (AN1200.13, section 4).

    Raises:
        KeyError: no such preset.
    """
    modem = PRESETS[preset]
    symbol_ms = float(2**modem.spreading_factor) / modem.bandwidth_khz
    slow = 1 if symbol_ms > SLOW_SYMBOL_MS else 0
    bits = 8 * phy_bytes - 4 * modem.spreading_factor + 28 + 16
    blocks = max(math.ceil(bits / (4 * (modem.spreading_factor - 2 * slow))), 0)
    return (PREAMBLE_SYMBOLS + 4.25 + 8 + blocks * modem.coding_rate) * symbol_ms


def frame_airtime_ms(frame_bytes: int, preset: str) -> float:
    """Time on air, in ms, of a frame handed to a Meshtastic radio, for the first hop."""
    return phy_airtime_ms(frame_bytes + MESH_OVERHEAD_BYTES, preset)


def largest_frame(region: str, preset: str, *, most_bytes: int, extra_bytes: int = 0) -> int:
    """The largest frame, up to `most_bytes`, that is not longer on the air than the region allows; 0 = none at all.

    Args:
        region: Meshtastic's name; one that is not known allows everything.
        preset: the modem preset.
        most_bytes: what the radio carries.
        extra_bytes: what the firmware may add to a frame.

    Raises:
        KeyError: no such preset.
    """
    rule = REGIONS.get(region)
    if rule is None or rule.dwell_ms is None or PRESETS[preset].bandwidth_khz >= rule.dwell_below_khz:
        return most_bytes
    fitting = (
        size for size in range(most_bytes, 0, -1) if frame_airtime_ms(size + extra_bytes, preset) <= rule.dwell_ms
    )
    return next(fitting, 0)


def fits_band(region: str, preset: str) -> bool:
    """Whether a signal of that preset fits the region's band."""
    rule = REGIONS.get(region)
    return rule is None or PRESETS[preset].bandwidth_khz <= rule.width_khz + 1.0


def duty_cycle(region: str) -> float:
    """The share of an hour (0 to 1) that a radio may transmit in that region."""
    return DUTY_CYCLE.get(region, 1.0)


class AirtimeBudget:
    """The rolling hour's ledger. Times are monotonic seconds; no hour ever holds more than the limit.

    Args:
        share: of the hour, 0 to 1 (`duty_cycle`).
        reserved_share: of that, what only priority 0 may use.
    """

    def __init__(self, share: float, *, reserved_share: float = RESERVED_SHARE) -> None:
        self._limit_ms = share * WINDOW_S * 1000.0
        self._open_ms = self._limit_ms * (1.0 - reserved_share) if share < 1.0 else self._limit_ms
        self._spent: deque[tuple[float, float]] = deque()
        self._sum_ms = 0.0

    def spend(self, airtime_ms: float, *, priority: int, now: float) -> bool:
        """Account for a transmission about to start; False, and nothing spent, if the hour does not allow it."""
        if airtime_ms > self.left_ms(now, priority=priority):
            return False
        self._spent.append((now, airtime_ms))
        self._sum_ms += airtime_ms
        return True

    def left_ms(self, now: float, *, priority: int = 5) -> float:
        """How much that priority may still use now, in ms."""
        self._forget(now)
        limit = self._limit_ms if priority == 0 else self._open_ms
        return max(0.0, limit - self._sum_ms)

    def entries(self) -> list[tuple[float, float]]:
        """(when, ms) of the rolling hour, for a ledger that outlives the process."""
        return list(self._spent)

    def restore(self, entries: list[tuple[float, float]]) -> None:
        """Take over what an earlier process had spent."""
        self._spent = deque(sorted((float(at), float(ms)) for at, ms in entries))
        self._sum_ms = sum(ms for _, ms in self._spent)

    def _forget(self, now: float) -> None:
        # until its *end* is an hour ago: an hour that began in the middle of a transmission holds a part of it
        while self._spent and self._spent[0][0] + self._spent[0][1] / 1000.0 <= now - WINDOW_S:
            self._sum_ms -= self._spent.popleft()[1]
        if not self._spent:
            self._sum_ms = 0.0  # rounding must not add up over years
