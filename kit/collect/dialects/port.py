"""The port of a dialect: a topic and a payload in, observations out; pure, and safe against any bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kit.model.readings import Raw


class DialectError(ValueError):
    """The message is not what the dialect expects; the sentence is for the technician."""


class Observation(NamedTuple):
    """A value as a dialect understood it, before the kit has judged it.

    Attributes:
        quantity: a name of `kit.model.quantities`, perhaps with a label (`temperature:probe2`), or the device's own.
        unit: SenML symbol.
        value: finite.
        time_s: Unix seconds, or seconds relative to the arrival where `relative`.
        relative: the device gave no time of its own.
        raw: what the device said, if it was converted.
        unit_unknown: the quantity is known, its unit is not; the value is as it came.
    """

    quantity: str
    unit: str
    value: float
    time_s: float
    relative: bool
    raw: Raw | None = None
    unit_unknown: bool = False


class Parsed(NamedTuple):
    """What a message holds: its observations, and a sentence for each part that is no number."""

    observations: Sequence[Observation]
    ignored: Sequence[str] = ()


class Dialect(Protocol):
    """One way in which devices publish readings."""

    @property
    def name(self) -> str:
        """For the docs and for the technician."""
        ...

    def device(self, topic: str) -> str | None:
        """The device that speaks on this topic; "" if the topic is this dialect's but names none; None if not its."""
        ...

    def parse(self, topic: str, payload: bytes) -> Parsed:
        """Read a message.

        Raises:
            DialectError: it cannot be read; any other exception is a bug.
        """
        ...
