"""What waits for the next batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kit.broker.link import Link, size_of
from kit.broker.protocol.packets import Packet, Publishes


class Deed(NamedTuple):
    """Something to be done in a batch other than to take packets; for a link, or for none."""

    link: Link | None
    work: Callable[[], None]

    @property
    def weight(self) -> int:
        """Packets it stands for."""
        return 1


class Came(NamedTuple):
    """Packets that one client sent and that were read at once.

    Attributes:
        size: see `size_of`.
        at_ms: when they were read, Unix ms.
    """

    link: Link
    packets: list[Packet]
    size: int
    at_ms: int

    @classmethod
    def of(cls, link: Link, packets: list[Packet], *, at_ms: int) -> Came:
        """With their size."""
        return cls(link, packets, sum(map(size_of, packets)), at_ms)

    @property
    def weight(self) -> int:
        """How many they are."""
        return sum(map(_weight, self.packets))

    def cut(self, room: int) -> tuple[Came, Came]:
        """The first so many, and the rest."""
        first: list[Packet] = []
        rest: list[Packet] = []
        for packet in self.packets:
            if type(packet) is Publishes and 0 < room < packet.number:
                fits, waits = packet.cut(room)
                first.append(fits)
                rest.append(waits)
            else:
                (first if room > 0 else rest).append(packet)
            room -= _weight(packet)
        return Came.of(self.link, first, at_ms=self.at_ms), Came.of(self.link, rest, at_ms=self.at_ms)


def _weight(packet: Packet) -> int:
    return packet.number if type(packet) is Publishes else 1
