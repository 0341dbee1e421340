"""The core's side of one broadcast: how many packets in a round, when to listen, when to leave it to the sessions.

A round is what the loss that is known of the way lets expect to be enough, then the air is left to the kits that
acknowledge. While one has not, a round of repair packets follows, none of which was sent before; after as many packets
as 60 % loss asks for, whoever still has nothing gets the record by its ordinary session. Sans-IO.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sync.protocol import fountain
from sync.protocol.multicast import frames_of, symbol_bytes_for
from sync.protocol.records import Priority, Record

ASSUMED_LOSS, URGENT_LOSS, MOST_LOSS = 0.1, 0.3, 0.6
"""What a way of which nothing is known loses, what a warning is prepared for, and what a round is made for at most."""

LISTEN_FRAMES = 16.0
"""After a round, in times of a full frame: kits spread their acknowledgements over half of that."""

BULK_SHARE = 0.1
"""Of the air, for broadcasts that nobody waits for: as many full frames' time is left free after each, so that what
the villages have to say finds room."""


@dataclass(frozen=True, kw_only=True)
class PlannedBroadcast:
    """A broadcast as the core's store knows it.

    Attributes:
        record: what is said.
        link_ids: of the kits it is for; none = of all.
        units: the kits that have not acknowledged it.
        packets: how many frames of it have been sent.
    """

    record: Record
    link_ids: tuple[int, ...]
    units: tuple[str, ...]
    packets: int


class Broadcast:
    """One object on its way.

    Args:
        record: whose object it is.
        told: the object.
        core_public: the core's X25519 public key.
        sent: frames sent before a restart; the next are others.

    Attributes:
        by_session: the kits that wait get it by their sessions.
    """

    def __init__(self, record: Record, told: bytes, *, core_public: bytes, sent: int = 0) -> None:
        self.record, self.sent = record, sent
        self._told, self._core_public = told, core_public
        self.needed = fountain.source_symbols(len(told), symbol_bytes_for(len(told)))
        self.most = 4 * self.needed + 8
        self._frames: list[bytes] = []
        self._left_in_round = 0
        self.by_session = False
        self._due_at = float("-inf")
        self.units: tuple[str, ...] = ()

    def leave_to_session(self, waiting: int, now: float, *, answers: bool) -> bool:
        """Whether from now on sessions carry it, because at most one kit waits for it that only the radio reaches.

        Args:
            waiting: how many such kits wait.
            now: kit seconds.
            answers: whether that kit was heard and most frames reach it. If not, a warning is first said in one round
                with its repair: a session whose frame is lost notices it 40 seconds later.
        """
        if self.by_session or waiting != 1 or self._left_in_round > 0 or now < self._due_at:
            return False
        if self.record.priority == Priority.DISTRESS and not answers and self.sent == 0:
            return False
        self.by_session = True
        return True

    @property
    def over(self) -> bool:
        """No more is sent to everybody."""
        return self.sent >= self.most

    @property
    def has_left(self) -> bool:
        """Whether a kit that lost nothing has it by now."""
        return self.sent >= self.needed

    def due_at(self) -> float:
        """When its next frame may go, in kit seconds."""
        return self._due_at

    def next_frame(self, now: float) -> bytes | None:
        """The frame to send now; tell `note_sent` if a link took it."""
        if self.over or self.by_session or not self.units or now < self._due_at:
            return None
        if not self._frames:
            self._frames = frames_of(self._told, core_public=self._core_public, repair=self.most - self.needed)
        return self._frames[self.sent % len(self._frames)]

    def note_sent(self, now: float, *, frame_s: float, loss: float) -> None:
        """A link took that frame.

        Args:
            now: kit seconds.
            frame_s: what a full frame takes by that link.
            loss: the share of frames that the worst way to a waiting kit loses, 0 to 1; 0 = nothing is known.
        """
        if self._left_in_round <= 0:
            urgent = self.record.priority == Priority.DISTRESS
            least = URGENT_LOSS if urgent else ASSUMED_LOSS
            # a packet too many costs two seconds of air, a kit that lacks one learns of a danger a round later
            self._left_in_round = self._round(min(max(loss, least), MOST_LOSS)) + urgent
        self.sent += 1
        self._left_in_round -= 1
        if self._left_in_round == 0 or self.over:
            self._due_at = now + LISTEN_FRAMES * frame_s
            self._left_in_round = 0
        elif self.record.priority >= Priority.BULK:
            self._due_at = now + frame_s / BULK_SHARE

    def _round(self, loss: float) -> int:
        lost = ceil(self.needed * loss / (1.0 - loss))
        return max(self.needed - self.sent, 0) + lost + 1
