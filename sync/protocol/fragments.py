"""Records too large for a frame: sent in pieces, and put together again within bounds.

A transfer is named by a hash of what is cut, so it goes on after a restart of the sender, pieces of two transfers never
mix, and what was put together is known to be whole. A piece is any range of bytes: every frame is filled to its end,
and a transfer begun over LoRa is finished over cellular in pieces of another size.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from sync.protocol.errors import MalformedFrame
from sync.protocol.items import Piece, Received
from sync.protocol.ranges import Ranges

MAX_RECORD_BYTES = 256 * 1024 + 512
"""The largest encoded record: 256 KiB of body and its header."""

MAX_PARTIAL_BYTES = 1024 * 1024
"""What a peer can make us hold in memory; the transfer that has been quiet for longest gives way."""

MAX_PARTIALS = 64
MAX_HOLES = 2048
"""A transfer in so many scattered ranges is somebody's attack on our time; it begins anew."""

TRANSFER_BYTES = 4


def transfer_name(blob: bytes) -> bytes:
    """The name of the transfer of these bytes."""
    return hashlib.sha256(b"village-kit transfer" + blob).digest()[:TRANSFER_BYTES]


@dataclass
class _Partial:
    total_bytes: int = 0
    blob: bytearray = field(default_factory=bytearray)
    have: Ranges = field(default_factory=Ranges)

    @property
    def complete(self) -> bool:
        return bool(self.total_bytes) and self.have.covers(0, self.total_bytes)


class Reassembly:
    """The transfers that are coming in from one peer."""

    def __init__(self) -> None:
        self._partials: OrderedDict[bytes, _Partial] = OrderedDict()
        self._held_bytes = 0

    def add(self, piece: Piece) -> bytes | None:
        """Take a piece in; returns the whole once it is complete.

        Raises:
            MalformedFrame: it does not fit its transfer.
        """
        end = piece.first + len(piece.data)
        told = piece.total_bytes if piece.first == 0 else MAX_RECORD_BYTES
        if not piece.data or not end <= told <= MAX_RECORD_BYTES:
            raise MalformedFrame(f"bytes {piece.first} to {end} of a transfer of {told}")
        partial = self._partials.setdefault(piece.transfer, _Partial())
        self._partials.move_to_end(piece.transfer)
        if piece.first == 0:
            if partial.total_bytes not in (0, told) or len(partial.blob) > told:
                self._drop(piece.transfer)
                raise MalformedFrame("the size of a transfer has changed")
            partial.total_bytes = told
        if len(partial.blob) < end:
            self._held_bytes += end - len(partial.blob)
            partial.blob.extend(bytes(end - len(partial.blob)))
        partial.blob[piece.first : end] = piece.data
        partial.have.add(piece.first, end)
        if len(partial.have) > MAX_HOLES:
            self._drop(piece.transfer)
            return None
        self._bound()
        return self._finish(piece.transfer) if partial.complete and piece.transfer in self._partials else None

    def knows(self, piece: Piece) -> bool:
        """Whether its transfer is under way here and has not this piece yet: then nothing need be said about it."""
        partial = self._partials.get(piece.transfer)
        if partial is None:
            return piece.first == 0
        return not partial.have.covers(piece.first, piece.first + len(piece.data))

    def received(self, transfer: bytes) -> Received | None:
        """What to tell the sender of a transfer that is not complete."""
        partial = self._partials.get(transfer)
        return None if partial is None else Received(transfer, partial.have)

    def _finish(self, transfer: bytes) -> bytes | None:
        partial = self._drop(transfer)
        blob = bytes(partial.blob)
        if len(blob) != partial.total_bytes or transfer_name(blob) != transfer:
            raise MalformedFrame("a transfer does not add up to what its name says")
        return blob

    def _bound(self) -> None:
        while self._held_bytes > MAX_PARTIAL_BYTES or len(self._partials) > MAX_PARTIALS:
            self._drop(next(iter(self._partials)))

    def _drop(self, transfer: bytes) -> _Partial:
        partial = self._partials.pop(transfer)
        self._held_bytes -= len(partial.blob)
        return partial
