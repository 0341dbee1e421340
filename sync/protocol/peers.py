"""Who is at the other end, and the port through which the engine asks for them.

Invariant: a peer is known by its X25519 public key. Its link id only helps to find the key and may be heard, guessed or
shared by anybody on the air; its address on a link is where it was last heard and is not authenticated by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sync.protocol.enrolment import Hello


class Role(StrEnum):
    """Which of the two ends a unit is."""

    KIT = "kit"
    CORE = "core"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The other end of a session.

    Attributes:
        unit: its id, the `origin` of its own records.
        link_id: 0 to 65,535, given by the core in the invite; in every frame's header, in clear.
        exchange_public: its X25519 public key, 32 bytes.
        role: what *it* is; we are the other.
        curve_public: its CurveZMQ public key, 32 bytes, b"" if not told.
        name: for people.
        twin: another unit with the same keys is alive: neither is believed until one of them has joined anew.
        next_public: the X25519 public key under which it will speak from some moment on; b"" = it has told none. It is
            the same peer before that moment, and another one afterwards.
    """

    unit: str
    link_id: int
    exchange_public: bytes
    role: Role = Role.KIT
    curve_public: bytes = b""
    name: str = ""
    twin: bool = False
    next_public: bytes = field(default=b"", compare=False)


class RefusalReason(StrEnum):
    """Why a kit was not enrolled."""

    EXPIRED = "expired"
    USED = "used"
    UNKNOWN = "unknown"
    FORGED = "forged"
    TAKEN = "taken"
    TWIN = "twin"
    MISFIT = "misfit"

    @property
    def sentence(self) -> str:
        """For the technician of the kit."""
        return _SENTENCES[self]


_SENTENCES = {
    RefusalReason.EXPIRED: "the invite has expired; ask the city core for a new one (kit core invite NAME)",
    RefusalReason.USED: "the invite was already used by another kit; ask the city core for one of your own",
    RefusalReason.UNKNOWN: "the city core does not know this invite; it may have been withdrawn: ask for a new one",
    RefusalReason.FORGED: "the invite's token does not match; copy the whole invite again",
    RefusalReason.TWIN: (
        "two units with the keys of this kit are alive, so the city core takes records from neither (was its SD card "
        "copied?); switch one of them off, and let the other join with a new invite"
    ),
    RefusalReason.TAKEN: (
        "the city core knows this unit's id by other keys; if they were this kit's, ask it for an invite for just this "
        "unit (kit core invite NAME --unit ID), else to remove the other one first"
    ),
    RefusalReason.MISFIT: (
        "this kit's keys were renewed, so that they do not prove its id any more, or the invite is for another unit; "
        "ask the city core for an invite for just this one (kit core invite NAME --unit ID)"
    ),
}


@dataclass(frozen=True)
class Refusal:
    """The core does not enrol this kit.

    The kit is told so only if its proof was right (`RefusalReason.FORGED` and `UNKNOWN` stay unanswered): who holds no
    token cannot make the core spend airtime.
    """

    reason: RefusalReason


class PeerBook(Protocol):
    """The peers an engine serves. Every method that changes something commits before it returns."""

    def by_link_id(self, link_id: int) -> Peer | None:
        """The enrolled peer with that link id, or None."""
        ...

    def enrol(self, hello: Hello, *, now_ms: int, link: str) -> Peer | Refusal:
        """Enrol the kit that says hello, once; the same hello again gives the same peer.

        The book finds the invite by `hello.link_id` and asks `enrolment.proof_is_right` with that invite's token.
        """
        ...

    def heard(self, unit: str, *, link: str, via: str, now_ms: int) -> None:
        """An authenticated frame of that peer came in over that link; told at most every few seconds per peer."""
        ...

    def twin_heard(self, unit: str, *, now_ms: int) -> None:
        """Two units with that peer's keys are alive: from now on it has `Peer.twin`."""
        ...

    def speaks_under_next_key(self, unit: str) -> bool:
        """A frame came under that peer's `next_public`: from now on that is its key, and the one before is none.

        Returns:
            Whether that is committed; if not, the frame must be passed over.
        """
        ...

    def all(self) -> Sequence[Peer]:
        """Every enrolled peer."""
        ...


class SinglePeerBook:
    """A kit's book: the city core and nobody else.

    Args:
        core: the core, as the invite names it.
        pending: whether the core has yet to answer our hello; records wait until it has.
    """

    def __init__(self, core: Peer, *, pending: bool = False) -> None:
        self.core = core
        self.pending = pending
        self.last_heard_ms: dict[str, int] = {}

    def by_link_id(self, link_id: int) -> Peer | None:
        """The core, if it is its link id."""
        return self.core if link_id == self.core.link_id else None

    def enrol(self, hello: Hello, *, now_ms: int, link: str) -> Peer | Refusal:
        """A kit enrols nobody."""
        del hello, now_ms, link
        return Refusal(RefusalReason.UNKNOWN)

    def heard(self, unit: str, *, link: str, via: str, now_ms: int) -> None:
        """Remember when, by link."""
        del unit, via
        self.last_heard_ms[link] = now_ms

    def twin_heard(self, unit: str, *, now_ms: int) -> None:
        """A city core that was copied is for the people there to find; its kits go on."""

    def speaks_under_next_key(self, unit: str) -> bool:
        """A core's key does not change: its kits join anew."""
        del unit
        return False

    def all(self) -> Sequence[Peer]:
        """The core."""
        return (self.core,)
