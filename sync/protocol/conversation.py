"""Which lives of the two ends talk to each other: salts, epochs, and whether two units answer to one name.

A process that starts draws a salt: its *life*. Once both ends know each other's, frames need name neither (short
frames). A life that goes on although a later one has begun is a second unit with the same keys: a copied SD card.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.protocol.sealing import Opened

TWIN_RETURNS = 3
"""So often must a life come back after its successor had begun. Once could be an attacker with a frame of a kit that
was restored from a backup, recorded where the core did not hear it; such a frame cannot be made, and is taken once."""

TELL_AGAIN_S = 60.0
"""What an attacker can make us say by playing old frames, or by making frames up, is said at most this often."""

_REMEMBERED_LIVES = 8


@dataclass
class Conversation:
    """What each side knows of the other's life.

    Attributes:
        peer_salt: the life over there, as its newest full frame names it.
        peer_epoch: its epoch, once a context told it.
        knows_us: the peer has answered a frame of this life.
        knows_epoch: the peer has answered a frame that told our epoch.
        knows_life: the peer has answered a frame that told our ephemeral key.
        secret: what the ephemeral keys of both lives make; b"" until the peer's is known.
        opened_short: a short frame of the peer's present life was opened: it knows ours.
    """

    peer_salt: int | None = None
    peer_epoch: int = -1
    knows_us: bool = False
    knows_epoch: bool = False
    knows_life: bool = False
    secret: bytes = b""
    opened_short: bool = False
    returns: int = 0
    _followed_at: dict[int, int] = field(default_factory=dict)
    _told_at: float | None = None

    def note(self, opened: Opened, *, highest: int) -> bool:
        """A frame was taken; `highest` is the newest counter before it. Whether two lives of the peer go on at once."""
        if opened.short:
            self.opened_short = True
            return False
        if opened.salt == self.peer_salt:
            return False
        followed_at = self._followed_at.get(opened.salt)
        if followed_at is None and opened.counter > highest:
            self._follow(opened)
        elif followed_at is not None and opened.counter > followed_at:
            self.returns += 1
            self._follow(opened)
        return self.returns >= TWIN_RETURNS

    def begin_anew(self) -> None:
        """Our own life is a new one, of which the peer has not heard."""
        self.knows_us = self.knows_epoch = self.knows_life = self.opened_short = False
        self.secret = b""

    def may_tell(self, now: float) -> bool:
        """Whether to answer something that nobody may have meant; counts as telling."""
        if self._told_at is not None and now - self._told_at < TELL_AGAIN_S:
            return False
        self._told_at = now
        return True

    def _follow(self, opened: Opened) -> None:
        if self.peer_salt is not None:
            self._followed_at[self.peer_salt] = opened.counter
            while len(self._followed_at) > _REMEMBERED_LIVES:
                del self._followed_at[next(iter(self._followed_at))]
        self.peer_salt, self.peer_epoch = opened.salt, -1
        self.begin_anew()
