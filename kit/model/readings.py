"""A reading: one value of one quantity from one device at one time, and what is doubtful about it.

Invariant: doubt is a flag beside the value, never a reason to lose it. A technician finds a broken probe by its
impossible values; a model leaves flagged values out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple


class Quality(IntFlag):
    """What is doubtful about a reading; 0 is nothing. Stored as a number: never change one, add the next."""

    GOOD = 0
    IMPOSSIBLE = 1
    STUCK = 2
    STEP = 4
    TIME_GUESSED = 8
    TIME_DOUBTFUL = 16
    TIME_SHIFTED = 32
    UNIT_UNKNOWN = 64
    INCONSISTENT = 128
    NEIGHBOUR = 256


UNFIT = Quality.IMPOSSIBLE | Quality.STUCK | Quality.TIME_DOUBTFUL | Quality.UNIT_UNKNOWN | Quality.INCONSISTENT
"""With any of these no model should learn from a reading. A step may be real (a front, a door), a shift is a few ms.
A sensor that stands against its neighbours may be the one that sees the cold: it is used, and every page says so.
A guessed time is fit: a kit that nothing has set since boot, but whose clock shows a believable date, has to warn too.
"""

_SENTENCES = {
    Quality.IMPOSSIBLE: "The value lies outside what is physically possible; check the probe and its lead.",
    Quality.STUCK: "The value has not changed for hours; the sensor may be frozen, iced over or broken.",
    Quality.STEP: "The value jumped faster than the air does; it may be a loose contact or a gust of warm air.",
    Quality.TIME_GUESSED: "The device gave no time and nothing vouched for the kit's clock; the time is a guess.",
    Quality.TIME_DOUBTFUL: "The time is wrong: in the future, before 2000, or by a kit's clock that was never set.",
    Quality.TIME_SHIFTED: "Another reading had the same time; this one is kept a few milliseconds later.",
    Quality.INCONSISTENT: "The value contradicts another one of the same device, such as a dew point above the air.",
    Quality.NEIGHBOUR: "The value lies far from what the sensors around it say, more than it usually does.",
    Quality.UNIT_UNKNOWN: "The kit cannot convert the device's unit; the value is kept as it came.",
}


class Raw(NamedTuple):
    """What the device really said, where the kit converted it."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value.

    Attributes:
        device: the device's name, as in its topic.
        quantity: a name of `kit.model.quantities`, or the device's own where the kit knows none; a label behind a
            colon tells several of one device apart (`temperature:probe2`).
        unit: SenML symbol.
        time_ms: when it was measured, Unix ms.
        value: finite.
        quality: what is doubtful about it.
        raw: what the device said, if it was converted; not part of what syncs.
    """

    device: str
    quantity: str
    unit: str
    time_ms: int
    value: float
    quality: Quality = Quality.GOOD
    raw: Raw | None = None


def quality_word(quality: int) -> str:
    """For `kit readings`: "good", or the flags in lower case joined by "+" (`impossible+time_guessed`)."""
    words = [flag.name.lower() for flag in _SENTENCES if quality & flag and flag.name]
    return "+".join(words) or "good"


def explain_quality(quality: int) -> list[str]:
    """A sentence for each flag, for the technician; empty when nothing is doubtful."""
    return [sentence for flag, sentence in _SENTENCES.items() if quality & flag]


def qc_letter(quality: int) -> str:
    """The grade as MADIS has it: X = rejected, Q = questioned, S = passed what was checked (screened)."""
    if quality & (UNFIT & ~Quality.STUCK & ~Quality.INCONSISTENT):
        return "X"
    return "Q" if quality & ~int(Quality.TIME_SHIFTED) else "S"


def is_usable(quality: int) -> bool:
    """Whether a model may learn from it and a person may rely on it."""
    return not quality & UNFIT
