"""A frame in the making: what fits, and what is to be remembered once a link has taken it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sync.protocol.items import MAX_PIECE_HEADER_BYTES, Piece, RecordPacker, encode_piece
from sync.protocol.outgoing import CONTEXT_BYTES, SPLIT_FROM_PRIORITY, Ledger, Outgoing
from sync.protocol.path import Path, Sending
from sync.protocol.records import Record, RecordId

LEAST_PIECE_BYTES = 24
"""A shorter piece is not worth its header, unless it is the last one."""


@dataclass
class Draft:
    """A frame in the making.

    Attributes:
        limit: bytes of items that it holds.
        full: something did not fit.
        more: something that might go next was left out.
    """

    limit: int
    plain: bytearray = field(default_factory=bytearray)
    priority: int = 5
    sendings: list[Sending] = field(default_factory=list)
    names: list[RecordId] = field(default_factory=list)
    transfers: list[bytes] = field(default_factory=list)
    acknowledges: bool = False
    beacon: bool = False
    behind: bool = False
    welcome: bool = False
    wait: bool = False
    refusal: bool = False
    context: bool = False
    life: bool = False
    apart: list[RecordId] = field(default_factory=list)
    full: bool = False

    @property
    def room(self) -> int:
        """Bytes left."""
        return self.limit - len(self.plain)

    def add(self, item: bytes, *, priority: int) -> bool:
        """Add the item if it fits."""
        if self.full or len(item) > self.room:
            return False
        self.plain += item
        self.priority = min(self.priority, priority)
        return True

    def add_records(
        self,
        due: Iterable[Outgoing],
        ledger: Ledger,
        path: Path,
        packer: RecordPacker,
        dated: Callable[[Record], Record],
    ) -> None:
        """Add what is due, in its order, until the frame is full; what may be split fills it to its end."""
        for outgoing in due:
            if self.full:
                return
            if not outgoing.blob and not self._add_whole(outgoing, packer, dated):
                may_split = path.slow and (
                    outgoing.record.priority >= SPLIT_FROM_PRIORITY or self._never_fits(outgoing, packer, dated)
                )
                if not may_split or self.room < MAX_PIECE_HEADER_BYTES + LEAST_PIECE_BYTES:
                    self.full = True
                    return
                ledger.cut(outgoing, dated(outgoing.record))
            if outgoing.blob:
                self._add_pieces(outgoing, path)

    def _never_fits(self, outgoing: Outgoing, packer: RecordPacker, dated: Callable[[Record], Record]) -> bool:
        """Whether no frame of this path holds it whole: where the law shortens transmissions, frames are short."""
        most = self.limit - CONTEXT_BYTES
        return outgoing.size > 2 * most or len(packer.encode(dated(outgoing.record))) > most

    def _add_whole(self, outgoing: Outgoing, packer: RecordPacker, dated: Callable[[Record], Record]) -> bool:
        if outgoing.size > 2 * self.room:
            return False  # without the work of encoding it
        record = dated(outgoing.record)
        if not self.add(packer.encode(record), priority=record.priority):
            return False
        packer.keep(record)
        self.sendings.append(Sending(outgoing))
        return True

    def _add_pieces(self, outgoing: Outgoing, path: Path) -> None:
        sent = len(self.sendings)
        while not self.full and self.room >= MAX_PIECE_HEADER_BYTES + 1:
            taken = [(each.start, each.end) for each in self.sendings[sent:]]
            sending = _next_piece(outgoing, path, self.room - MAX_PIECE_HEADER_BYTES, taken)
            if sending is None:
                return
            rest = sending.end - sending.start >= self.room - MAX_PIECE_HEADER_BYTES
            if rest and sending.end < len(outgoing.blob) and self.room < MAX_PIECE_HEADER_BYTES + LEAST_PIECE_BYTES:
                self.full = True
                return
            self._add_piece(outgoing, path, sending, rest=rest, taken=taken)
        self.full = True

    def _add_piece(
        self, outgoing: Outgoing, path: Path, sending: Sending, *, rest: bool, taken: list[tuple[int, int]]
    ) -> None:
        if rest:
            # the header is mostly shorter than its bound, and the last piece of a frame needs no length
            head = encode_piece(Piece(outgoing.transfer, len(outgoing.blob), sending.start, b""), to_the_end=True)
            sending = _next_piece(outgoing, path, self.room - len(head), taken) or sending
        piece = Piece(outgoing.transfer, len(outgoing.blob), sending.start, outgoing.blob[sending.start : sending.end])
        item = encode_piece(piece, to_the_end=rest)
        if rest and len(item) != self.room:
            item = encode_piece(piece)  # something else may follow it
        if not self.add(item, priority=outgoing.record.priority):
            self.full = True
            return
        self.sendings.append(sending)
        self.full = self.room == 0


def _next_piece(outgoing: Outgoing, path: Path, room: int, taken: list[tuple[int, int]]) -> Sending | None:
    """The next bytes to go that this frame does not hold already."""
    left = outgoing.missing(path)
    if taken:
        left = left.without(type(left)(*taken))
    for start, end in left:
        return Sending(outgoing, start, min(end, start + room))
    return None if taken or outgoing.missing(path) else outgoing.next_piece(path, room)
