"""Acknowledgements that we owe, by path: which of its frames were taken and their records committed.

Each acknowledgement names the latest frames anew, so that a lost one costs nothing. When it goes is for the sender to
say: a frame without the mark that more follows is answered at once, the others when nothing follows after all.

Invariant: only what the store has committed is ever owed.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.protocol.items import Heard
from sync.protocol.path import Patience
from sync.protocol.records import RecordId

TOLD_FRAMES = 176
"""So many of the latest frames are named: more than a sender has in flight."""

MAX_BITMAP_BYTES = 24
"""On a path that shares its counters with a busy one they lie far apart: at most 192 back."""

LEAST_URGENT = 5
"""The priority of what is acknowledged until it is known."""

_REMEMBERED = 4096


@dataclass
class Owed:
    """What one path owes the peer.

    Attributes:
        heard: counters of the latest frames whose records are all committed.
        uncommitted: those whose records are not, yet.
        ids: records to acknowledge by name (they came in pieces), each with its priority.
        by_name: records that came in pieces and are to be committed.
        transfers: of which to say what has come.
        told_once: names that were said once, and ride along with the next frame once more.
        anything: whether there is something to say for which a frame of its own goes.
        riding: whether something may be said if a frame goes anyway.
        at_once: whether the sender waits for it.
        priority: of the most urgent thing acknowledged: its sender repeats it until this arrives.
        newest: the latest counter that came by this path.
        doubted: a frame of the sender's, or an acknowledgement (for what it named came once more), was lost: say the
            next one twice. That is a third of what it costs to have a message repeated.
    """

    heard: deque[int] = field(default_factory=lambda: deque(maxlen=TOLD_FRAMES))
    uncommitted: OrderedDict[int, set[RecordId]] = field(default_factory=OrderedDict)
    ids: dict[RecordId, int] = field(default_factory=dict)
    by_name: dict[RecordId, int] = field(default_factory=dict)
    told_once: dict[RecordId, int] = field(default_factory=dict)
    transfers: set[bytes] = field(default_factory=set)
    anything: bool = False
    riding: bool = False
    at_once: bool = False
    priority: int = 5
    newest: int = 0
    doubted: bool = False
    first_at: float = 0.0
    last_at: float = 0.0

    def note(self, now: float, *, priority: int, more: bool) -> None:
        """A frame came that asks for an acknowledgement."""
        if not self.anything:
            self.first_at = now
        self.last_at = now
        self.anything = self.riding = True
        self.at_once = self.at_once or not more or priority == 0
        self.priority = min(self.priority, priority)

    def take(self, counter: int, *, uncommitted: set[RecordId]) -> None:
        """A frame came, with these records that are not committed yet."""
        missing = 0 < self.newest < counter - 1
        self.doubted = self.doubted or missing
        self.newest = max(self.newest, counter)
        if not uncommitted:
            self.heard.append(counter)
            return
        self.uncommitted[counter] = uncommitted
        while len(self.uncommitted) > TOLD_FRAMES:
            self.uncommitted.popitem(last=False)

    def commit(self, ids: set[RecordId]) -> None:
        """These records are committed: the frames that have no others are heard."""
        for counter in [each for each, missing in self.uncommitted.items() if missing & ids]:
            self.uncommitted[counter] -= ids
            if not self.uncommitted[counter]:
                del self.uncommitted[counter]
                self.heard.append(counter)

    def begin_anew(self) -> None:
        """Another life of the peer has begun: what is not acknowledged by now comes again."""
        self.heard.clear()
        for owed in (self.uncommitted, self.ids, self.by_name, self.told_once, self.transfers):
            owed.clear()

    def keep_apart(self, ids: set[RecordId]) -> None:
        """These are not committed and never will be under their names: the frames that held them are not named at all.

        What else was in them is acknowledged by name.
        """
        for counter in [each for each, missing in self.uncommitted.items() if missing & ids]:
            self.by_name.update(dict.fromkeys(self.uncommitted.pop(counter) - ids, LEAST_URGENT))
        for each in ids:
            self.by_name.pop(each, None)

    def name(self) -> Heard | None:
        """The frames to name."""
        if not self.heard:
            return None
        newest = max(self.heard)
        oldest = max(min(self.heard), newest - 8 * MAX_BITMAP_BYTES)
        bits = sum(1 << (newest - 1 - each) for each in set(self.heard) if oldest <= each < newest)
        return Heard(newest & 0xFFFF, bits.to_bytes((bits.bit_length() + 7) // 8, "little"))

    def told(self, ids: Iterable[RecordId], transfers: Iterable[bytes]) -> None:
        """A frame with all that has left."""
        for each in ids:
            priority = self.ids.pop(each, None)
            if priority is None:
                self.told_once.pop(each, None)
            else:
                self.told_once[each] = priority
        self.transfers -= set(transfers)
        once_more = self.doubted and self.at_once
        self.anything = self.riding = bool(self.ids or self.transfers) or once_more
        self.priority = min([self.priority] if once_more else self.ids.values(), default=5)
        self.at_once, self.doubted = once_more, False

    def due_at(self, patience: Patience) -> float | None:
        """When to send it even if nothing else goes; None if nothing is owed."""
        if not self.anything:
            return None
        if self.at_once:
            return self.first_at
        return min(self.last_at + patience.quiet_s, self.first_at + patience.gather_most_s)


class Committed:
    """Records lately acknowledged: one that comes again is acknowledged again without asking the store."""

    def __init__(self) -> None:
        self._ids: OrderedDict[RecordId, None] = OrderedDict()
        self._earlier: OrderedDict[RecordId, None] = OrderedDict()
        self._transfers: OrderedDict[bytes, tuple[RecordId, int]] = OrderedDict()

    def begin_anew(self) -> None:
        """Another life of the peer has begun, perhaps that of a copied card, which gives its records the same names.

        What comes under a known name goes to the store once more, which compares. A transfer is named by its contents.
        """
        self._earlier, self._ids = self._ids, OrderedDict()

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
        self._earlier.pop(record, None)
        while len(self._transfers) > _REMEMBERED:
            self._transfers.popitem(last=False)

    def made_by(self, transfer: bytes) -> RecordId | None:
        """The record that an already completed transfer made, committed or not."""
        told = self._transfers.get(transfer)
        return None if told is None else told[0]

    def of_transfer(self, transfer: bytes) -> tuple[RecordId, int] | None:
        """The committed record, and its priority, that an already completed transfer made."""
        told = self._transfers.get(transfer)
        return told if told is not None and (told[0] in self._ids or told[0] in self._earlier) else None
