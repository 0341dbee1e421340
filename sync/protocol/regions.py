"""What each Meshtastic region allows: duty cycle, the longest single transmission, how wide a signal fits its band.

Sources: frequencies and duty cycles as in the Meshtastic firmware's `src/mesh/RadioInterface.cpp` (2.8), which names
the law behind each: ETSI EN 300 220-2 for Europe's bands P (869.4-869.65 MHz, 10 %) and 46b (865.6-867.6 MHz, 2.5 % for
what moves, 10 % for what stands; the kit takes the smaller), NBTC 1033-2565 for Thailand, NKRZI for Ukraine.

The firmware knows no limit to a single transmission. Two laws do: FCC 47 CFR 15.247(a)(1)(i) lets a hopping transmitter
stay on one frequency for 0.4 s, and asks nothing of the kind of digital modulation at least 500 kHz wide
(15.247(a)(2)); ARIB STD-T108 (Japan) allows 4 s after listening. The kit keeps to them by sending shorter frames.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes:
        from_mhz, to_mhz: its band.
        duty: share of an hour that a radio may transmit; 1 = always.
        dwell_ms: longest single transmission of a signal narrower than `dwell_below_khz`; None = as long as it takes.
        dwell_below_khz: wider signals may take as long as they need.
    """

    from_mhz: float
    to_mhz: float
    _: KW_ONLY
    duty: float = 1.0
    dwell_ms: float | None = None
    dwell_below_khz: float = 0.0

    @property
    def width_khz(self) -> float:
        """Of the whole band."""
        return 1000.0 * (self.to_mhz - self.from_mhz)


REGIONS = {
    "US": Region(902.0, 928.0, dwell_ms=400.0, dwell_below_khz=500.0),
    "EU_433": Region(433.0, 434.0, duty=0.1),
    "EU_868": Region(869.4, 869.65, duty=0.1),
    "EU_866": Region(865.6, 867.6, duty=0.025),
    "EU_N_868": Region(869.4, 869.65, duty=0.1),
    "CN": Region(470.0, 510.0),
    "JP": Region(920.5, 923.5, dwell_ms=4000.0, dwell_below_khz=10_000.0),
    "ANZ": Region(915.0, 928.0),
    "ANZ_433": Region(433.05, 434.79),
    "RU": Region(868.7, 869.2),
    "KR": Region(920.0, 923.0),
    "TW": Region(920.0, 925.0),
    "IN": Region(865.0, 867.0),
    "NZ_865": Region(864.0, 868.0),
    "TH": Region(920.0, 925.0, duty=0.1),
    "UA_433": Region(433.0, 434.7, duty=0.1),
    "UA_868": Region(868.0, 868.6, duty=0.01),
    "MY_433": Region(433.0, 435.0),
    "MY_919": Region(919.0, 924.0),
    "SG_923": Region(917.0, 925.0),
    "PH_433": Region(433.0, 434.7),
    "PH_868": Region(868.0, 869.4),
    "PH_915": Region(915.0, 918.0),
    "KZ_433": Region(433.075, 434.775),
    "KZ_863": Region(863.0, 868.0),
    "NP_865": Region(865.0, 868.0),
    "BR_902": Region(902.0, 907.5),
    "LORA_24": Region(2400.0, 2483.5),
}
