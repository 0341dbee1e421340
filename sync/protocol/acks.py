"""Acknowledgements that we owe, by path: gathered for a moment so that many share a frame, and urgent ones at once.

Invariant: only what the store has committed is ever owed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.protocol.path import Patience
from sync.protocol.records import RecordId

_REMEMBERED = 4096
_AT_ONCE = 24
"""So many owed are worth a frame of their own."""


@dataclass
class Owed:
    """What one path owes the peer.

    Attributes:
        ids: committed records, each with its priority.
        transfers: of which to say what chunks have come.
        echo: the newest counter heard by this path, once something is owed for it.
    """

    ids: dict[RecordId, int] = field(default_factory=dict)
    transfers: set[bytes] = field(default_factory=set)
    echo: int | None = None
    first_at: float = 0.0
    last_at: float = 0.0
    urgent: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is something to say."""
        return bool(self.ids or self.transfers)

    @property
    def priority(self) -> int:
        """Of the most urgent thing acknowledged: its sender repeats it until this arrives."""
        return min(self.ids.values(), default=4)

    def note(self, now: float) -> None:
        """Something came to be owed."""
        if not self.anything:
            self.first_at = now
        self.last_at = now

    def due_at(self, patience: Patience) -> float | None:
        """When to send it even if nothing else goes; None if nothing is owed."""
        if not self.anything:
            return None
        if self.urgent or len(self.ids) >= _AT_ONCE:
            return self.first_at
        return min(self.last_at + patience.gather_s, self.first_at + patience.gather_most_s)


class Committed:
    """Records lately acknowledged: one that comes again is acknowledged again without asking the store."""

    def __init__(self) -> None:
        self._ids: OrderedDict[RecordId, None] = OrderedDict()
        self._transfers: OrderedDict[bytes, tuple[RecordId, int]] = OrderedDict()

    def __contains__(self, each: RecordId) -> bool:
        return each in self._ids

    def add(self, ids: Iterable[RecordId]) -> None:
        """They are committed."""
        for each in ids:
            self._ids[each] = None
            self._ids.move_to_end(each)
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def note_transfer(self, transfer: bytes, record: RecordId, priority: int) -> None:
        """That transfer made this record."""
        self._transfers[transfer] = (record, priority)
        while len(self._transfers) > _REMEMBERED:
            self._transfers.popitem(last=False)

    def of_transfer(self, transfer: bytes) -> tuple[RecordId, int] | None:
        """The committed record, and its priority, that an already completed transfer made."""
        told = self._transfers.get(transfer)
        return told if told is not None and told[0] in self._ids else None
