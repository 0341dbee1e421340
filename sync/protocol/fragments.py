"""Records too large for a frame: cut into chunks, and put together again within bounds.

A transfer is named by a hash of what is cut, so it goes on after a restart of the sender, chunks of two transfers
never mix, and what was put together is known to be whole. Chunks have the same size on every link: a transfer begun
over LoRa is finished over cellular, many chunks to a frame.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from sync.protocol.errors import MalformedFrame
from sync.protocol.items import Chunks, Received

CHUNK_BYTES = 80
"""Two chunks, their header (13) and the seal (27) leave 14 of LoRa's 214 bytes, enough for an acknowledgement, and the
end of one transfer shares its frame with the beginning of the next: batches of readings (about 240 bytes) take a
quarter fewer frames than with chunks of 160."""

BITMAP_BYTES = 128
"""So many chunks beyond the first gap are told of (82 kB); it fits a LoRa frame, though there it is never needed."""

MAX_RECORD_BYTES = 256 * 1024 + 512
"""The largest encoded record: 256 KiB of body and its header."""

MAX_PARTIAL_BYTES = 1024 * 1024
"""What a peer can make us hold in memory; the transfer that has been quiet for longest gives way."""

MAX_PARTIALS = 64
TRANSFER_BYTES = 4


def transfer_name(blob: bytes) -> bytes:
    """The name of the transfer of these bytes."""
    return hashlib.sha256(b"village-kit transfer" + blob).digest()[:TRANSFER_BYTES]


def chunk_count(total_bytes: int) -> int:
    """Into how many chunks so many bytes are cut."""
    return -(-total_bytes // CHUNK_BYTES)


def chunk(blob: bytes, index: int) -> bytes:
    """One chunk; the last may be shorter."""
    return blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


@dataclass
class _Partial:
    total_bytes: int
    chunks: dict[int, bytes] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.chunks) == chunk_count(self.total_bytes)


class Reassembly:
    """The transfers that are coming in from one peer."""

    def __init__(self) -> None:
        self._partials: OrderedDict[bytes, _Partial] = OrderedDict()
        self._held_bytes = 0

    def add(self, chunks: Chunks) -> bytes | None:
        """Take chunks in; returns the whole once it is complete.

        Raises:
            MalformedFrame: they do not fit their transfer.
        """
        count = chunk_count(chunks.total_bytes)
        if not 0 < chunks.total_bytes <= MAX_RECORD_BYTES or chunks.first >= count or not chunks.data:
            raise MalformedFrame(f"chunk {chunks.first} of a transfer of {chunks.total_bytes} bytes")
        partial = self._partials.setdefault(chunks.transfer, _Partial(chunks.total_bytes))
        self._partials.move_to_end(chunks.transfer)
        if partial.total_bytes != chunks.total_bytes:
            raise MalformedFrame("the size of a transfer has changed")
        for index, data in enumerate(_cut(chunks), start=chunks.first):
            if index not in partial.chunks:
                partial.chunks[index] = data
                self._held_bytes += len(data)
        self._bound()
        return self._finish(chunks.transfer) if partial.complete else None

    def received(self, transfer: bytes) -> Received | None:
        """What to tell the sender of a transfer that is not complete."""
        partial = self._partials.get(transfer)
        if partial is None:
            return None
        below = 0
        while below in partial.chunks:
            below += 1
        ahead = (index - below for index in partial.chunks if below < index < below + 8 * BITMAP_BYTES)
        bits = sum(1 << bit for bit in ahead)
        return Received(transfer, below, bits.to_bytes((bits.bit_length() + 7) // 8, "little"))

    def _finish(self, transfer: bytes) -> bytes | None:
        partial = self._drop(transfer)
        blob = b"".join(partial.chunks[index] for index in range(len(partial.chunks)))
        if transfer_name(blob) != transfer:
            raise MalformedFrame("a transfer does not add up to what its name says")
        return blob

    def _bound(self) -> None:
        while self._held_bytes > MAX_PARTIAL_BYTES or len(self._partials) > MAX_PARTIALS:
            self._drop(next(iter(self._partials)))

    def _drop(self, transfer: bytes) -> _Partial:
        partial = self._partials.pop(transfer)
        self._held_bytes -= sum(len(data) for data in partial.chunks.values())
        return partial


def _cut(chunks: Chunks) -> list[bytes]:
    # every chunk but the transfer's last is full; anything else would leave holes that look filled
    pieces = [chunks.data[at : at + CHUNK_BYTES] for at in range(0, len(chunks.data), CHUNK_BYTES)]
    end = chunks.first * CHUNK_BYTES + len(chunks.data)
    if end > chunks.total_bytes or (end < chunks.total_bytes and len(pieces[-1]) != CHUNK_BYTES):
        raise MalformedFrame("chunks that do not end where chunks end")
    return pieces
