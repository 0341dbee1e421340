"""Sealed frames: who sent it is certain, nobody else can read it, and none counts twice.

    byte 0       version and type (`sync.protocol.frames`)
    bytes 1-2    link id
    bytes 3-6    salt: drawn anew whenever the sender's process starts
    bytes 7-10   counter: only ever grows, over restarts, too
    …            ChaCha20-Poly1305 (RFC 8439) of the items, with the 11 bytes above as associated data; 16-byte tag

Key: X25519 of the two static keys, through HKDF-SHA-256 with direction and salt. A nonce is the counter, so a nonce
repeats only if a counter repeats under one salt. Counters are reserved on disk in blocks before they are used; and if
the disk itself is an old copy (a restored backup), the salt is another one, but for one chance in four billion.

The receiver keeps one window over counters, whatever the salt (RFC 6479, as a Python integer). A restored sender is
behind it; it is told so in a sealed item and jumps ahead. There is no forward secrecy: whoever steals a unit's private
key can read what was recorded from the air before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.protocol.errors import ForeignFrame, ForgedFrame, MalformedFrame, ReplayedFrame
from sync.protocol.frames import FrameType, first_byte, frame_link_id, frame_type
from sync.protocol.keys import derive
from sync.protocol.wire import Reader, varint

HEADER_BYTES = 11
TAG_BYTES = 16
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
"""What sealing costs a frame: 27 of LoRa's 214 bytes."""

MAX_COUNTER = 2**32 - 1
"""At ten frames a second, 13 years."""

WINDOW = 4096
"""How far a frame may lag behind the newest: a slow link's frame arrives after thousands of a fast one's."""

RESERVE = 256
"""Counters taken from the disk at once: a restart wastes at most so many, and the disk is written once for so many."""

_SALT = slice(3, 7)
_COUNTER = slice(7, 11)
_KNOWN_SALTS = 4


@dataclass(frozen=True)
class Opened:
    """A frame that our peer has sealed."""

    counter: int
    salt: int
    plain: bytes


class Sealer:
    """Makes frames in one direction.

    Args:
        shared: from `sync.protocol.keys.agree`.
        kind: `UP` from a kit, `DOWN` from the core.
        link_id: of the kit.
        salt: 32 random bits, drawn when this process started.
    """

    def __init__(self, shared: bytes, *, kind: FrameType, link_id: int, salt: int) -> None:
        self._head = bytes((first_byte(kind),)) + link_id.to_bytes(2, "big") + salt.to_bytes(4, "big")
        self._cipher = ChaCha20Poly1305(_key(shared, kind, salt))

    def seal(self, plain: bytes, *, counter: int) -> bytes:
        """The frame. The caller sees to it that no counter comes twice."""
        header = self._head + counter.to_bytes(4, "big")
        return header + self._cipher.encrypt(_nonce(counter), plain, header)


class Opener:
    """Opens the frames of the other direction."""

    def __init__(self, shared: bytes, *, kind: FrameType, link_id: int) -> None:
        self._shared, self._kind, self._link_id = shared, kind, link_id
        self._ciphers: OrderedDict[int, ChaCha20Poly1305] = OrderedDict()

    def open(self, frame: bytes) -> Opened:
        """What is in it.

        Raises:
            ForeignFrame: it is not for us.
            ForgedFrame: our peer has not sealed it, or it was damaged.
        """
        if frame_type(frame) is not self._kind or frame_link_id(frame) != self._link_id:
            raise ForeignFrame("another direction or another kit's link")
        if len(frame) < OVERHEAD_BYTES:
            raise ForgedFrame("too short to be sealed")
        salt, counter = (int.from_bytes(frame[part], "big") for part in (_SALT, _COUNTER))
        cipher = self._ciphers.get(salt) or ChaCha20Poly1305(_key(self._shared, self._kind, salt))
        try:
            plain = cipher.decrypt(_nonce(counter), frame[HEADER_BYTES:], frame[:HEADER_BYTES])
        except InvalidTag:
            raise ForgedFrame("not sealed by our peer, or damaged on the way") from None
        # only a salt that our peer has used is worth remembering; made-up ones must not push it out
        self._ciphers[salt] = cipher
        self._ciphers.move_to_end(salt)
        while len(self._ciphers) > _KNOWN_SALTS:
            self._ciphers.popitem(last=False)
        return Opened(counter, salt, plain)


class Counters:
    """What of a session must survive a restart: our own next counter, and which of the peer's were taken.

    `dump` gives the state to keep; `unsaved` says that it must be kept before anything that depends on it is sent.
    """

    def __init__(self, state: bytes | None = None) -> None:
        self._next = 1
        self._reserved = 0  # the last counter that the state on disk lets us use
        self.highest = 0
        self._taken = 0  # bit i: highest - i was taken
        self.unsaved = False
        if state:
            self._load(state)

    def next(self) -> int:
        """A counter that was never used."""
        if self._next > MAX_COUNTER:
            raise OverflowError("all counters of this session are used up; join again with a new invite")
        if self._next > self._reserved:
            self._reserved = self._next + RESERVE - 1
            self.unsaved = True
        self._next += 1
        return self._next - 1

    def jump_past(self, counter: int) -> bool:
        """The peer has seen that counter of ours; whether we did not remember using it."""
        behind = self._next <= counter
        self._next = max(self._next, counter + 1)
        return behind

    def check(self, counter: int) -> None:
        """Raises `ReplayedFrame` if a frame of the peer with that counter must not be taken."""
        behind = self.highest - counter
        if behind >= 0 and (behind >= WINDOW or self._taken >> behind & 1):
            raise ReplayedFrame(counter, self.highest, too_old=behind >= WINDOW)

    def take(self, counter: int) -> None:
        """A frame of the peer with that counter was taken; `check` it first."""
        ahead = counter - self.highest
        if ahead > 0:
            self._taken = (self._taken << ahead if ahead < WINDOW else 0) & (1 << WINDOW) - 1 | 1
            self.highest = counter
        else:
            self._taken |= 1 << -ahead
        self.unsaved = True

    def dump(self) -> bytes:
        """The state to keep."""
        return b"\x01" + varint(self._reserved) + varint(self.highest) + self._taken.to_bytes(WINDOW // 8, "big")

    def _load(self, state: bytes) -> None:
        reader = Reader(state)
        if reader.byte() != 1:
            raise MalformedFrame("the kept state of a session is of an unknown form; join again with a new invite")
        self._reserved = reader.varint()
        self._next = self._reserved + 1
        self.highest = reader.varint()
        self._taken = int.from_bytes(reader.take(WINDOW // 8), "big")


def _key(shared: bytes, kind: FrameType, salt: int) -> bytes:
    return derive(shared, salt=salt.to_bytes(4, "big"), info=b"village-kit frame 1 " + kind.name.lower().encode())


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")
