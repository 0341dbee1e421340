"""Bundles of other kits that a kit keeps for a while, to put them on the next stick that passes by.

Whoever brings a stick from the village behind the hill may leave its contents here: they go on with the next stick to
the city, and the answers come back the same way. Only bundles to or from our own core are kept, so many bytes of them,
each as long as it lives and through at most as many hands as its hop count allows. Nothing of it can be read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sync.bundles.shelf import ShelfError, Stick
from sync.protocol.bundle import Bundle

MOST_BYTES = 20_000_000
"""Some three months of a village's summaries and messages; the oldest goes first."""

MOST_KEPT_MS = 30 * 86_400_000
"""What has not moved on within a month went another way."""


@dataclass
class Passing:
    """What is kept for others.

    Attributes:
        shelf: a folder of our own, laid out like a stick.
        core: our core's endpoint.
        most_bytes: kept at once.
    """

    shelf: Stick
    core: str
    most_bytes: int = MOST_BYTES

    def keep(self, bundle: Bundle) -> bool:
        """Keep a copy of somebody else's bundle; whether it is new."""
        passed = bundle.passed_on()
        if passed is None or self.core not in (bundle.source, bundle.destination):
            return False
        if self.shelf.has(bundle) or len(bundle.payload) > self.most_bytes:
            return False
        self._make_room(len(bundle.payload))
        try:
            self.shelf.make()
            self.shelf.add(passed)
        except ShelfError:
            return False  # a full disk: the stick itself still carries it
        return True

    def put_on(self, stick: Stick, *, now_ms: int, trusted: bool) -> int:
        """Put what is kept on a stick that does not have it; returns how many bundles.

        Raises:
            ShelfError: the stick is full, gone or write-protected.
        """
        count = 0
        for name, bundle in self._kept():
            old = bundle.created_ms is not None and bundle.created_ms + MOST_KEPT_MS < now_ms
            if trusted and (old or bundle.expired(now_ms)):
                self.shelf.remove(name)
            elif not stick.has(bundle):
                stick.add(bundle)
                count += 1
        return count

    def _kept(self) -> Iterator[tuple[str, Bundle]]:
        for found in self.shelf.read():
            if found.bundle is None:
                self.shelf.remove(found.name)
            else:
                yield found.name, found.bundle

    def _make_room(self, size: int) -> None:
        kept = sorted(self.shelf.sizes(), key=lambda each: each[2])
        total = sum(each[1] for each in kept)
        for name, each, _ in kept:
            if total + size <= self.most_bytes:
                return
            self.shelf.remove(name)
            total -= each
