"""What a LoRa packet costs on the air, as a radio sees it.

The simulated radio carries its own copy of these physics on purpose: it is a foreign device, and if it shared the
kit's airtime table, a mistake there would agree with itself. A test compares the two.

Sources: Semtech AN1200.13 (time on air); Meshtastic firmware `RadioInterface.cpp` (presets, regions, slot time,
contention window) and `RadioInterface.h` (packet header).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HEADER_BYTES = 16
"""Meshtastic's clear packet header: to, from, id, flags, channel hash, next hop, relay (`PacketHeader`)."""

MAX_PHY_BYTES = 255
"""The length field of a LoRa packet is one byte."""

PKI_OVERHEAD_BYTES = 12
"""A direct message is encrypted with AES-CCM: 8 bytes of tag and 4 of extra nonce (`MESHTASTIC_PKC_OVERHEAD`)."""

PREAMBLE_SYMBOLS = 16
"""Longer than LoRa's usual 8, so that a sleeping receiver can notice it (`preambleLength`)."""

LOW_DATA_RATE_SYMBOL_MS = 16.0
"""Above this symbol time AN1200.13 asks for low data rate optimisation."""

CW_MIN, CW_MAX = 3, 8
"""Contention window: 2^3 slots on a quiet channel, 2^8 on a full one."""

PROCESSING_MS = 4500.0
"""What the firmware allows another node for its processing before it repeats a packet (`PROCESSING_TIME_MSEC`)."""


@dataclass(frozen=True)
class Preset:
    """A modem preset: spreading factor, bandwidth and coding rate 4/x."""

    spreading_factor: int
    bandwidth_khz: float
    coding_rate: int

    @property
    def symbol_ms(self) -> float:
        """How long one chirp takes."""
        return float(2**self.spreading_factor) / self.bandwidth_khz

    @property
    def slot_ms(self) -> float:
        """Channel activity detection (2.5 symbols) plus propagation, turnaround and MAC time, 0.2 + 0.4 + 7 ms."""
        return 2.5 * self.symbol_ms + 7.6

    def airtime_ms(self, phy_bytes: int) -> float:
        """Time on air of a packet with explicit header and CRC (AN1200.13, section 4)."""
        slow = 1 if self.symbol_ms > LOW_DATA_RATE_SYMBOL_MS else 0
        bits = 8 * phy_bytes - 4 * self.spreading_factor + 28 + 16
        blocks = max(math.ceil(bits / (4 * (self.spreading_factor - 2 * slow))), 0)
        symbols = PREAMBLE_SYMBOLS + 4.25 + 8 + blocks * self.coding_rate
        return symbols * self.symbol_ms


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

DUTY_CYCLE_PERCENT = {"EU_433": 10.0, "EU_868": 10.0, "EU_866": 2.5, "EU_N_868": 10.0} | {
    "UA_433": 10.0,
    "UA_868": 1.0,
    "TH": 10.0,
}
"""Regions whose law limits the duty cycle; all others may send always."""

DUTY_WINDOW_S = 3600.0
"""The duty cycle is counted over a rolling hour."""


def duty_cycle_percent(region: str) -> float:
    """How much of an hour a radio may transmit there."""
    return DUTY_CYCLE_PERCENT.get(region, 100.0)


def contention_slots(channel_utilisation: float) -> int:
    """How many slots to draw the back-off from, for a channel that was busy that share of the last minute."""
    size = CW_MIN + int((CW_MAX - CW_MIN) * min(max(channel_utilisation, 0.0), 1.0))
    return int(2**size)


def retransmission_delay_ms(preset: Preset, phy_bytes: int, channel_utilisation: float) -> float:
    """How long the firmware waits for an acknowledgement (`getRetransmissionMsec`)."""
    slots = contention_slots(channel_utilisation) + 2 * CW_MAX + int(2 ** ((CW_MAX + CW_MIN) // 2))
    return 2 * preset.airtime_ms(phy_bytes) + slots * preset.slot_ms + PROCESSING_MS
