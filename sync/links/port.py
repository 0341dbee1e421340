"""The port every link implements: it carries frames, it promises nothing.

A link neither retries nor acknowledges: the session does. Constructors open nothing; `open` does. Frames are opaque
bytes. All methods are called from one thread; a link that needs threads of its own keeps them inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class LinkState(StrEnum):
    """What a technician is told about a link."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    BUSY = "busy"  # up, but nothing may be sent now: queue full or duty cycle spent


@dataclass(frozen=True)
class Arrival:
    """A frame that came in.

    Attributes:
        frame: as the other side gave it to its link.
        via: the sender's address on this link (a node number, a CURVE identity), to answer to; not authenticated.
    """

    frame: bytes
    via: str


class LinkError(Exception):
    """The link could not be opened or has broken; the message says what a technician can do about it."""


class FrameTooLarge(LinkError):  # noqa: N818 - named for what is wrong, like RecordTooLarge
    """A frame larger than the link's `mtu_bytes` was handed to it: the session's fault, not the network's."""

    def __init__(self, size: int, limit: int, link: str) -> None:
        super().__init__(
            f"a frame of {size} bytes does not fit the {link} link, which carries at most {limit}; "
            f"make frames for that link no larger than its mtu_bytes"
        )
        self.size, self.limit = size, limit


class Link(Protocol):
    """One way to the other side."""

    @property
    def name(self) -> str:
        """For example `lora` or `cellular`."""
        ...

    @property
    def mtu_bytes(self) -> int:
        """The largest frame it carries."""
        ...

    @property
    def lowest_priority(self) -> int:
        """The largest priority number it may carry."""
        ...

    def open(self) -> None:
        """Start connecting; returns at once. A link that loses its connection reconnects by itself."""
        ...

    def close(self) -> None:
        """Stop and let go of everything, within a second."""
        ...

    def state(self) -> LinkState:
        """What it can do now."""
        ...

    def explain(self) -> str:
        """One sentence for the technician: why it is in this state, and what to do if something is wrong."""
        ...

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Take the frame for sending, or return False when it cannot be taken now (down, full, no airtime for it).

        Args:
            frame: at most `mtu_bytes`.
            priority: of the most urgent thing in it; a link with an airtime budget keeps a reserve for 0.
            to: an address seen in `Arrival.via`; None = the core (from a kit) or everybody (on the air).

        Raises:
            FrameTooLarge: it has more than `mtu_bytes`.
        """
        ...

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits up to that many real seconds for the first."""
        ...
