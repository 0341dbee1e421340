"""What a batch comes to once it is on the disk: what is said to whom, and whose connection ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from kit.broker.protocol.packets import Packet
from kit.broker.protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Farewell:
    """Why a connection is closed: in words, and in MQTT 5's."""

    text: str
    reason: Reason = Reason.UNSPECIFIED


@dataclass(slots=True)
class Outcome:
    """What the shell has to do after a batch.

    Attributes:
        packets: to send, by link.
        closing: links to close after that, with the reason.
    """

    packets: dict[int, list[Packet]] = field(default_factory=dict)
    closing: dict[int, Farewell] = field(default_factory=dict)
