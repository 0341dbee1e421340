"""A link under watch: whatever it raises is told to the technician and leaves the other links alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from kit.clock import Clock
from sync.links.port import Arrival, Link, LinkError, LinkState
from sync.protocol.errors import ForeignFrame, ForgedFrame, RemoteSyncError, ReplayedFrame
from sync.protocol.path import SLOW_MTU_BYTES

OPEN_AGAIN_S = 30.0
OPEN_AGAIN_REAL_S = 0.5
"""A link that cannot be opened is tried again after the longer of the two, so that a fast clock makes no busy loop."""

LOG = logging.getLogger("sync")


@runtime_checkable
class MetersAirtime(Protocol):
    """A link that accounts for its airtime may say so; the report and the beacon then tell."""

    def airtime_left_ms(self) -> int | None:
        """What may still be sent in this hour; None = no limit."""
        ...

    def airtime_free_percent(self) -> int | None:
        """The same as a share of what the hour allows."""
        ...


@runtime_checkable
class TellsMore(Protocol):
    """A link may say what is wrong with it, and what it is set to."""

    def fault(self) -> str:
        """What is wrong and what to do about it, "" where nothing is; a link that is merely down is not at fault."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What it is set to and what it has left, as JSON."""
        ...


@runtime_checkable
class TellsFrameTime(Protocol):
    """A radio may say how long a full frame takes: the time-outs follow it."""

    @property
    def frame_s(self) -> float:
        """Kit seconds."""
        ...


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """What is to be shown of a link.

    Attributes:
        name: for example `lora`.
        state: what it can do now.
        explain: one sentence for the technician.
        lowest_priority: the largest priority number it carries.
        last_heard_ms: when an authenticated frame last came by it, Unix ms; None = not since this process started.
        last_sent_ms: when a frame last left by it.
        airtime_left_ms: what may still be sent in this hour; None = no limit, or not metered.
        dropped: frames that were not taken, by reason: foreign, forged, replayed, malformed.
        fault: what is wrong and what to do about it; "" where nothing is.
        facts: what it is set to and what it has left.
    """

    name: str
    state: LinkState
    explain: str
    lowest_priority: int
    last_heard_ms: int | None
    last_sent_ms: int | None
    airtime_left_ms: int | None
    dropped: tuple[tuple[str, int], ...] = ()
    fault: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class WatchedLink:
    """Calls a link and survives it.

    Args:
        link: any.
        clock: paces the attempts to open it.
    """

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self.name, self.mtu_bytes = link.name, link.mtu_bytes
        self.frame_s = link.frame_s if isinstance(link, TellsFrameTime) else None
        # a radio is heard by everybody in reach; other links, and kits behind other kits, need an address
        self.reaches_everybody = link.mtu_bytes <= SLOW_MTU_BYTES and not getattr(link, "needs_address", False)
        self.last_heard_ms: int | None = None
        self.last_sent_ms: int | None = None
        self.dropped: dict[str, int] = {}
        self._is_open = False
        self._trouble = ""
        self._open_at: float | None = None

    @property
    def lowest_priority(self) -> int:
        """The largest priority number it carries now: a metered link carries less when its day's bytes run out."""
        return self._link.lowest_priority

    def open_if_due(self) -> None:
        """Open it, or try again after a while."""
        now = self._clock.monotonic()
        if self._is_open or (self._open_at is not None and now < self._open_at):
            return
        real_s = self._clock.real(1.0)
        self._open_at = now + max(OPEN_AGAIN_S, OPEN_AGAIN_REAL_S / real_s if real_s > 0 else 0.0)
        try:
            self._link.open()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._broke(error, "opened")
        else:
            self._is_open, self._trouble = True, ""

    def close(self) -> None:
        """Let go of it."""
        self._is_open = False
        try:
            self._link.close()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            LOG.warning("%s could not be closed: %s", self.name, error)

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in."""
        if not self._is_open:
            return ()
        try:
            return self._link.receive(timeout_s)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._broke(error, "read")
            return ()

    def send(self, frame: bytes, *, priority: int, to: str | None) -> bool:
        """Whether it took the frame."""
        try:
            taken = self._link.send(frame, priority=priority, to=to)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._broke(error, "written")
            return False
        if taken:
            self.last_sent_ms = int(self._clock.now() * 1000)
        return taken

    def state(self) -> LinkState:
        """What it can do now."""
        if not self._is_open:
            return LinkState.DOWN
        try:
            return self._link.state()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._broke(error, "asked")
            return LinkState.DOWN

    def free_airtime_percent(self) -> int | None:
        """For the beacon."""
        return self._link.airtime_free_percent() if isinstance(self._link, MetersAirtime) else None

    def drop(self, reason: str) -> None:
        """Count a frame that was not taken."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def report(self, note: str = "", *, refused: str = "", held_up: Mapping[str, Any] | None = None) -> LinkReport:
        """How it stands.

        Args:
            note: what the engine adds to its explanation.
            refused: why the core does not want us.
            held_up: facts that hold whichever link is up: what keeps the other side from taking anything.
        """
        state = self.state()
        explain = self._trouble if not self._is_open and self._trouble else self._explain()
        more = self._link if isinstance(self._link, TellsMore) else None
        return LinkReport(
            name=self.name,
            state=state,
            explain=f"{explain}; {note}" if note else explain,
            lowest_priority=self.lowest_priority,
            last_heard_ms=self.last_heard_ms,
            last_sent_ms=self.last_sent_ms,
            airtime_left_ms=self._link.airtime_left_ms() if isinstance(self._link, MetersAirtime) else None,
            dropped=tuple(sorted(self.dropped.items())),
            fault=refused or self._trouble if refused or not self._is_open else more.fault() if more else "",
            facts={
                "mtu_bytes": self.mtu_bytes,
                **{k: v for k, v in (held_up or {}).items() if v},
                **(more.facts() if more else {}),
            },
        )

    def _explain(self) -> str:
        try:
            return self._link.explain()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            return f"{self.name} cannot say how it is: {error}"

    def _broke(self, error: Exception, what: str) -> None:
        trouble = str(error) if isinstance(error, LinkError) else f"{self.name} cannot be {what} ({error!r})"
        if trouble != self._trouble:
            LOG.warning("%s: %s", self.name, trouble, exc_info=None if isinstance(error, LinkError) else error)
        self._trouble = trouble
        self.close()


def reason_of(error: RemoteSyncError) -> str:
    """Under which word a frame that was not taken is counted."""
    match error:
        case ForeignFrame():
            return "foreign"
        case ForgedFrame():
            return "forged"
        case ReplayedFrame():
            return "replayed"
        case _:
            return "malformed"
