"""What is doubtful about a reading, in the reader's language.

The English sentences are those of `kit.model.readings`; a test holds the two together. Any page that shows a measured
value, or something made from it, says with these what is doubtful about it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from kit.model.quantities import series_of
from kit.model.readings import UNFIT, Quality
from kit.store.readings import latest_readings
from village_apps.phrases import Phrase, phrase

SENTENCES: Mapping[Quality, Phrase] = {
    Quality.IMPOSSIBLE: phrase("The value lies outside what is physically possible; check the probe and its lead."),
    Quality.STUCK: phrase("The value has not changed for hours; the sensor may be frozen, iced over or broken."),
    Quality.STEP: phrase("The value jumped faster than the air does; it may be a loose contact or a gust of warm air."),
    Quality.TIME_GUESSED: phrase(
        "The device gave no time and nothing vouched for the kit's clock; the time is a guess."
    ),
    Quality.TIME_DOUBTFUL: phrase(
        "The time is wrong: in the future, before 2000, or by a kit's clock that was never set."
    ),
    Quality.TIME_SHIFTED: phrase("Another reading had the same time; this one is kept a few milliseconds later."),
    Quality.INCONSISTENT: phrase(
        "The value contradicts another one of the same device, such as a dew point above the air."
    ),
    Quality.NEIGHBOUR: phrase("The value lies far from what the sensors around it say, more than it usually does."),
    Quality.UNIT_UNKNOWN: phrase("The kit cannot convert the device's unit; the value is kept as it came."),
}

OLD_MS = 2 * 3_600_000
"""A doubt about an older value is no news; that the sensor is silent is told elsewhere."""


@dataclass(frozen=True)
class Doubt:
    """What is doubtful about the newest value of a sensor.

    Attributes:
        used: the kit's services go by the value all the same.
        sentences: why it is doubted.
    """

    device: str
    quantity: str
    used: bool
    sentences: tuple[Phrase, ...]


def sentences_of(quality: int) -> tuple[Phrase, ...]:
    """A sentence for each flag that a person should know of."""
    told = quality & ~int(Quality.TIME_SHIFTED)
    return tuple(sentence for flag, sentence in SENTENCES.items() if told & flag)


def doubt_about(connection: sqlite3.Connection, device: str, quantity: str, *, now_ms: int) -> Doubt | None:
    """What is doubtful about the newest value, if that is of the last hours; None if nothing is.

    `device` may be one of a device's probes, `device:label`.
    """
    device, quantity = series_of(device, quantity)
    for reading in latest_readings(connection, device=device):
        if reading.quantity == quantity and abs(now_ms - reading.time_ms) <= OLD_MS:
            sentences = sentences_of(reading.quality)
            if sentences:
                return Doubt(device, quantity, not reading.quality & int(UNFIT), sentences)
    return None
