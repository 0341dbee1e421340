"""A frame in the making: what fits, and what is to be remembered once a link has taken it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sync.protocol.fragments import chunk
from sync.protocol.items import CHUNKS_HEADER_BYTES, Chunks, RecordPacker, encode_chunks
from sync.protocol.outgoing import Due, Outgoing
from sync.protocol.records import RecordId


@dataclass
class Draft:
    """A frame in the making."""

    limit: int
    plain: bytes = b""
    priority: int = 5
    due: list[Due] = field(default_factory=list)
    acknowledges: list[RecordId] = field(default_factory=list)
    transfers: list[bytes] = field(default_factory=list)
    beacon: bool = False
    behind: bool = False
    welcome: bool = False

    @property
    def room(self) -> int:
        """Bytes left."""
        return self.limit - len(self.plain)

    def add(self, item: bytes, *, priority: int) -> bool:
        """Add the item if it fits."""
        if len(item) > self.room:
            return False
        self.plain += item
        self.priority = min(self.priority, priority)
        return True

    def add_records(self, our_unit: str, due: Sequence[Due]) -> None:
        """Add what is due, in its order, until the first that does not fit; consecutive chunks share one header."""
        packer = RecordPacker(our_unit)
        run: list[Due] = []
        for outgoing, unit in due:
            if unit.index is not None:
                if run and not _continues(run, outgoing, unit.index):
                    self._flush(run)
                run.append((outgoing, unit))
                if self.room < CHUNKS_HEADER_BYTES + sum(each.bytes for _, each in run):
                    run.pop()
                    break
                continue
            self._flush(run)
            if not self.add(packer.encode(outgoing.record), priority=outgoing.record.priority):
                break
            packer.keep(outgoing.record)
            self.due.append((outgoing, unit))
        self._flush(run)

    def _flush(self, run: list[Due]) -> None:
        if run and self.add(_run_item(run), priority=run[0][0].record.priority):
            self.due.extend(run)
        run.clear()


def _continues(run: list[Due], outgoing: Outgoing, index: int) -> bool:
    last_outgoing, last_unit = run[-1]
    return last_outgoing is outgoing and last_unit.index == index - 1


def _run_item(run: list[Due]) -> bytes:
    outgoing = run[0][0]
    data = b"".join(chunk(outgoing.blob, unit.index or 0) for _, unit in run)
    return encode_chunks(Chunks(outgoing.transfer, len(outgoing.blob), run[0][1].index or 0, data))
