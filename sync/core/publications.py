"""What the core has published for its kits, and how far each of them has it: the values, and that part of the port.

Whose word counts: a kit's acknowledgement says that it has a file; the kit's own receipt says that somebody's browser
there was given it. Nobody can say from here whether it was read, or understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sync.protocol.records import RecordId


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A publication at one kit. Times are Unix ms, None = not (known to be).

    Attributes:
        unit: the kit.
        link: by which it left last, or "".
        left_ms, accepted_ms, opened_ms: when it left, was committed there, was first given to somebody's browser there.
        gone_ms: when that kit learned that it is withdrawn, and took it away.
    """

    unit: str
    link: str
    left_ms: int | None
    accepted_ms: int | None
    opened_ms: int | None
    gone_ms: int | None = None

    @property
    def state(self) -> str:
        """How far it is known to have come: `written`, `left`, `accepted`, `opened`, or `withdrawn` there."""
        steps = (
            ("withdrawn", self.gone_ms),
            ("opened", self.opened_ms),
            ("accepted", self.accepted_ms),
            ("left", self.left_ms),
        )
        return next((name for name, at_ms in steps if at_ms is not None), "written")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A file that was published.

    Attributes:
        number: by which people name it.
        kind, name: as the kits keep it.
        by: who sent it, or "".
        size_bytes: of the record, which is what travels.
        published_ms: Unix ms.
        withdrawn_ms: when it was taken back, or None.
        copies: one for each kit that it is for, by the names of their villages.
    """

    number: int
    record: RecordId
    kind: str
    name: str
    by: str
    size_bytes: int
    published_ms: int
    copies: tuple[Copy, ...]
    withdrawn_ms: int | None = None

    @property
    def arrived(self) -> int:
        """How many kits have it."""
        return sum(copy.accepted_ms is not None or copy.opened_ms is not None for copy in self.copies)

    @property
    def gone(self) -> int:
        """How many have taken it away again."""
        return sum(copy.gone_ms is not None for copy in self.copies)

    @property
    def opened(self) -> int:
        """At how many somebody has opened it."""
        return sum(copy.opened_ms is not None for copy in self.copies)


class PublicationStore(Protocol):
    """What is published for many kits."""

    def publish(
        self,
        *,
        kind: str,
        priority: int,
        body: bytes,
        now_ms: int,
        lifetime_s: int | None = None,
        units: Sequence[str] | None = None,
        alert: str = "",
    ) -> RecordId:
        """Write a record of the core's own for these kits (None = all, also those that join while it holds).

        `alert` is the identifier of the warning in it: a receipt of that is a person's word that it was read.
        """
        ...

    def published(self, kind: str) -> Sequence[bytes]:
        """The bodies of that kind that were published, in the order in which they were."""
        ...

    def publications(self, *, limit: int) -> Sequence[Publication]:
        """The files that were published, the newest first."""
        ...

    def withdraw(self, number: int, *, now_ms: int) -> RecordId:
        """Take a file back, with its earlier versions: it goes no further, and the kits that it was for are told.

        Raises:
            StoreError: there is no such publication, or it is withdrawn already.
        """
        ...
