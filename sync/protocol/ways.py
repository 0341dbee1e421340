"""The links to one peer, as its session sees them: the path each is, and what is owed by it."""

from __future__ import annotations

from sync.protocol.acks import Owed
from sync.protocol.path import Path, patience_for


class Ways:
    """What is known of each link to the peer, by the link's name."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.owed: dict[str, Owed] = {}

    def path(self, name: str, mtu_bytes: int, *, frame_s: float | None = None) -> Path:
        """What is known of that link to this peer.

        Args:
            name: the link's.
            mtu_bytes: its largest frame.
            frame_s: what a full frame takes, on a radio that can tell.
        """
        if name not in self.paths:
            self.paths[name] = Path(name, mtu_bytes, patience_for(mtu_bytes, frame_s))
        return self.paths[name]

    def owed_by(self, name: str) -> Owed:
        """What is to be acknowledged by that link."""
        return self.owed.setdefault(name, Owed())

    def forget_what_was_told(self) -> None:
        """That a frame of before is named says nothing of what the two present lives know of each other."""
        for way in self.paths.values():
            for flight in way.flights.values():
                flight.life = flight.context = False

    def forget_what_is_owed(self) -> None:
        """The peer's present life is not told what came of another: a copied card numbers frames and records alike."""
        for owed in self.owed.values():
            owed.begin_anew()
