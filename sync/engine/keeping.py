"""The store as the engine uses it: a full disk is told to the technician and to the peer, and passes by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from sync.protocol.beacons import Holding
from sync.protocol.records import CannotStoreNow, Held, Record, RecordId, RecordStore

LOG = logging.getLogger("sync")


class Keeping:
    """Writes to a store and survives that it cannot.

    What is lost by not writing is never a record: those not taken are not acknowledged, and what the peer has accepted
    is acknowledged by it once more when it is sent once more.

    Args:
        store: any.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._failing: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """For the technician; "" = storing works."""
        why = next(iter(self._failing.values()), "")
        return f"nothing can be stored here ({why}), so the other side is asked to wait; free some space" if why else ""

    def take(
        self, records: Sequence[Record], *, peer: str, link: str, at_ms: int, what_has_room: bool = False
    ) -> Collection[Record] | None:
        """Those that were kept apart, the others are committed; None = nothing is.

        That what still has room was taken does not mean that the rest has.
        """
        apart: Collection[Record] = ()

        def write() -> None:
            nonlocal apart
            apart = self._store.take(records, peer=peer, link=link, at_ms=at_ms)

        return apart if self._try("urgent" if what_has_room else "take", write) else None

    def rename(self, kept_apart: Collection[Held], *, peer: str, at_ms: int) -> bool:
        """Whether they have new names."""
        return self._try("rename", lambda: self._store.rename(kept_apart, peer=peer, at_ms=at_ms))

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> bool:
        """Whether it is written down."""
        return self._try("accepted", lambda: self._store.accepted(ids, peer=peer, link=link, at_ms=at_ms))

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> bool:
        """Whether it is written down."""
        return self._try("left", lambda: self._store.left(ids, peer=peer, link=link, at_ms=at_ms))

    def save_session(self, peer: str, state: bytes) -> bool:
        """Whether it is on the disk."""
        return self._try("session", lambda: self._store.save_session(peer, state))

    def refill(self, peer: str, holdings: Sequence[Holding]) -> int:
        """How many records are offered again."""
        found = 0

        def write() -> None:
            nonlocal found
            found = self._store.refill(peer, holdings)

        return found if self._try("refill", write) else 0

    def tell(self, tell: Callable[[], None]) -> bool:
        """Whether what the technician is shown is written down."""
        return self._try("links", tell)

    def _try(self, what: str, write: Callable[[], None]) -> bool:
        try:
            write()
        except CannotStoreNow as error:
            if not self._failing:
                LOG.warning("nothing can be stored: %s", error)
            self._failing[what] = str(error)
            return False
        if self._failing:
            # rewriting a row may go on while nothing new fits: only what failed proves that it is over
            if what == "take":
                self._failing.clear()
            self._failing.pop(what, None)
            if not self._failing:
                LOG.info("storing works again")
        return True
