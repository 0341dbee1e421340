"""The core's link to kits that only another kit hears: envelopes that come by a wide link, opened and answered.

Each wide link is wrapped in a `RelayExit`, which takes the envelopes out; `RelayLink` is the link that the engine sees.
An address on it is the wide link's name and the carrying kit's address there. Which kit a frame is from, only its seal
says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sync.links.port import Arrival, FrameTooLarge, Link, LinkState
from sync.links.wrapped import Wrapped
from sync.protocol.envelope import FROM_KITS, is_envelope, put_in, take_out, travels
from sync.protocol.frames import LORA_FRAME_BYTES

MOST_WAITING = 256
SEPARATOR = " by "


class RelayLink:
    """Kits behind other kits.

    Args:
        lowest_priority: the largest priority number carried: in the end it is a radio.
    """

    name = "relay"
    mtu_bytes = LORA_FRAME_BYTES
    needs_address = True

    def __init__(self, *, lowest_priority: int = 4) -> None:
        self.lowest_priority = lowest_priority
        self._exits: dict[str, Link] = {}
        self._inbox: deque[Arrival] = deque(maxlen=MOST_WAITING)
        self._carriers: dict[str, None] = {}

    def exit_of(self, link: Link) -> RelayExit:
        """The wide link as the engine is to see it."""
        self._exits[link.name] = link
        return RelayExit(link, self)

    def take(self, link: str, envelope: bytes, via: str) -> None:
        """An envelope has come by that wide link."""
        frame = take_out(envelope)
        if travels(frame, FROM_KITS) is not None:
            self._inbox.append(Arrival(frame, f"{via}{SEPARATOR}{link}"))
            self._carriers[via] = None

    def open(self) -> None:
        """There is nothing to open: the wide links are."""

    def close(self) -> None:
        """Forget who carries."""
        self._carriers.clear()

    def state(self) -> LinkState:
        """Up once somebody carries."""
        return LinkState.UP if self._carriers else LinkState.DOWN

    def explain(self) -> str:
        """One sentence for the technician."""
        if not self._carriers:
            return "no kit carries for another one so far"
        count = len(self._carriers)
        return f"{'1 kit carries' if count == 1 else f'{count} kits carry'} for others that they hear by radio"

    def fault(self) -> str:
        """Nothing a person could mend."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """How many carry."""
        return {"carriers": len(self._carriers)}

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Give it to the kit that carries for the one it is for."""
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        via, _, link = (to or "").rpartition(SEPARATOR)
        exit_link = self._exits.get(link)
        return exit_link is not None and exit_link.send(put_in(frame), priority=priority, to=via)

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What was carried here; never waits, for the wide links do."""
        del timeout_s
        arrivals = list(self._inbox)
        self._inbox.clear()
        return arrivals


class RelayExit(Wrapped):
    """A wide link without the envelopes.

    Args:
        link: any.
        relay: takes them.
    """

    def __init__(self, link: Link, relay: RelayLink) -> None:
        super().__init__(link)
        self._relay = relay

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What came in, but for the envelopes."""
        ours = []
        for each in self._link.receive(timeout_s):
            if is_envelope(each.frame):
                self._relay.take(self.name, each.frame, each.via)
            else:
                ours.append(each)
        return ours
