"""The bus: how a process of the kit publishes and listens over MQTT.

Invariant: `publish` returns only after the broker has acknowledged (QoS 1), which with the kit's own broker means that
the message is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BusMessage:
    """A message that came in."""

    topic: str
    payload: bytes
    retained: bool


class BusError(Exception):
    """The broker cannot be reached or refused; nothing may be assumed about the message."""


class Bus(Protocol):
    """The MQTT client port."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 5.0) -> None:
        """Publish at QoS 1 and wait (real seconds) for the acknowledgement.

        Raises:
            BusError: it was not acknowledged in time.
        """
        ...

    def subscribe(self, topic_filter: str, on_message: Callable[[BusMessage], None]) -> None:
        """Listen at QoS 1; the callback runs on the bus's own thread. Survives reconnections."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        ...
