"""Sealed frames: who sent it is certain, nobody else can read it, and none counts twice.

A **full** frame stands alone:

    byte 0       version, more, type (`sync.protocol.frames`)
    bytes 1-2    link id
    bytes 3-6    salt: drawn anew whenever the sender's process starts
    bytes 7-10   counter: only ever grows, over restarts, too
    …            ChaCha20-Poly1305 (RFC 8439) of the items, with the 11 bytes above as associated data; 16-byte tag

A **short** frame belongs to a conversation: its sender knows that the peer knows its salt, and names neither salt.

    byte 0, 1-2  as above
    bytes 3-4    the low 16 bits of the counter; the rest follows from the newest counter taken (as in RFC 9000, A.3)
    …            AES-CCM-16-64-256 (RFC 9053, section 4.2: 256-bit key, 13-byte nonce, 8-byte tag) of the items

Keys: X25519 of the two static keys, through HKDF-SHA-256 with the direction and the sender's salt; in a short frame
with both salts and X25519 of the ephemeral keys that each life draws: what was said to an earlier life of the receiver
cannot be opened by this one, nor by whoever steals both units later. A nonce is the counter, so a nonce repeats only if
a counter repeats under one salt. Counters are reserved on disk in blocks before they are used; and if the disk itself
is an old copy (a restored backup), the salt is another one, but for one chance in four billion.

Why 8 bytes of tag are enough where they are used: only radios carry short frames, and a radio of the slowest kind hears
a forger at most ten times a second, so that one forgery in two is 29 billion years away. Links with large frames, on
which a forger could be faster, carry full frames.

The receiver keeps one window over counters, whatever the salt (RFC 6479, as a Python integer). A restored sender is
behind it; it is told so in a sealed item and jumps ahead. Full frames have no forward secrecy: whoever steals a unit's
private key can read those that were recorded from the air before. By radio they only begin a conversation, and over
cellular CurveZMQ has it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305

from sync.protocol.errors import ForeignFrame, ForgedFrame, MalformedFrame, ReplayedFrame
from sync.protocol.frames import FrameType, first_byte, frame_link_id, frame_type, more_follows
from sync.protocol.keys import derive
from sync.protocol.wire import Reader, varint

HEADER_BYTES = 11
TAG_BYTES = 16
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
"""What sealing costs a full frame: 27 of LoRa's 214 bytes."""

SHORT_HEADER_BYTES = 5
SHORT_TAG_BYTES = 8
SHORT_OVERHEAD_BYTES = SHORT_HEADER_BYTES + SHORT_TAG_BYTES
"""What it costs a short one: 13."""

MAX_COUNTER = 2**32 - 1
"""At ten frames a second, 13 years."""

WINDOW = 4096
"""How far a frame may lag behind the newest: a slow link's frame arrives after thousands of a fast one's."""

RESERVE = 256
"""Counters taken from the disk at once: a restart wastes at most so many, and the disk is written once for so many."""

_SALT = slice(3, 7)
_COUNTER = slice(7, 11)
_COUNTER_LOW = slice(3, 5)
_LOW_BITS = 16
_NONCE_BYTES = 13
_KNOWN_SALTS = 4


@dataclass(frozen=True)
class Opened:
    """A frame that our peer has sealed."""

    counter: int
    salt: int
    plain: bytes
    more: bool = False
    short: bool = False


class Sealer:
    """Makes frames in one direction.

    Args:
        shared: from `sync.protocol.keys.agree`.
        kind: `UP` from a kit, `DOWN` from the core.
        link_id: of the kit.
        salt: 32 random bits, drawn when this process started.
    """

    def __init__(self, shared: bytes, *, kind: FrameType, link_id: int, salt: int) -> None:
        self._shared, self._kind, self._salt = shared, kind, salt
        self._link_id = link_id.to_bytes(2, "big")
        self._cipher = ChaCha20Poly1305(_key(shared, kind, salt))
        self._short: tuple[tuple[int, bytes], AESCCM] | None = None

    def seal(self, plain: bytes, *, counter: int, more: bool = False) -> bytes:
        """A full frame. The caller sees to it that no counter comes twice."""
        header = bytes((first_byte(self._kind, more=more),)) + self._link_id + self._salt.to_bytes(4, "big")
        header += counter.to_bytes(4, "big")
        return header + self._cipher.encrypt(counter.to_bytes(12, "big"), plain, header)

    def seal_short(self, plain: bytes, *, counter: int, peer_salt: int, secret: bytes, more: bool = False) -> bytes:
        """A short frame for the peer's life with that salt; `secret` is what the two lives' ephemeral keys make."""
        if self._short is None or self._short[0] != (peer_salt, secret):
            cipher = _short_cipher(self._shared + secret, self._kind, self._salt, peer_salt)
            self._short = ((peer_salt, secret), cipher)
        header = bytes((first_byte(self._kind.short, more=more),)) + self._link_id
        header += (counter & (1 << _LOW_BITS) - 1).to_bytes(2, "big")
        return header + self._short[1].encrypt(counter.to_bytes(_NONCE_BYTES, "big"), plain, header)


class Opener:
    """Opens the frames of the other direction.

    Args:
        shared: from `sync.protocol.keys.agree`.
        kind: `UP` at the core, `DOWN` in a kit.
        link_id: of the kit.
        salt: our own, for short frames.
    """

    def __init__(self, shared: bytes, *, kind: FrameType, link_id: int, salt: int = 0) -> None:
        self._shared, self._kind, self._link_id, self._salt = shared, kind, link_id, salt
        self._ciphers: OrderedDict[int, ChaCha20Poly1305] = OrderedDict()
        self._short: tuple[tuple[int, bytes], AESCCM] | None = None

    def open(self, frame: bytes, *, peer_salt: int | None = None, highest: int = 0, secret: bytes = b"") -> Opened:
        """What is in it.

        Args:
            frame: as it came.
            peer_salt: of the peer's newest full frame; without it no short frame can be opened.
            highest: the newest counter taken.
            secret: what the two lives' ephemeral keys make; b"" = not known yet.

        Raises:
            ForeignFrame: it is not for us.
            ForgedFrame: our peer has not sealed it, or it was damaged.
        """
        kind = frame_type(frame)
        if kind not in (self._kind, self._kind.short) or frame_link_id(frame) != self._link_id:
            raise ForeignFrame("another direction or another kit's link")
        if kind is self._kind:
            return self._open_full(frame)
        return self._open_short(frame, peer_salt, highest, secret)

    def _open_full(self, frame: bytes) -> Opened:
        if len(frame) < OVERHEAD_BYTES:
            raise ForgedFrame("too short to be sealed")
        salt, counter = (int.from_bytes(frame[part], "big") for part in (_SALT, _COUNTER))
        cipher = self._ciphers.get(salt) or ChaCha20Poly1305(_key(self._shared, self._kind, salt))
        try:
            plain = cipher.decrypt(counter.to_bytes(12, "big"), frame[HEADER_BYTES:], frame[:HEADER_BYTES])
        except InvalidTag:
            raise ForgedFrame("not sealed by our peer, or damaged on the way") from None
        # only a salt that our peer has used is worth remembering; made-up ones must not push it out
        self._ciphers[salt] = cipher
        self._ciphers.move_to_end(salt)
        while len(self._ciphers) > _KNOWN_SALTS:
            self._ciphers.popitem(last=False)
        return Opened(counter, salt, plain, more_follows(frame))

    def _open_short(self, frame: bytes, peer_salt: int | None, highest: int, secret: bytes) -> Opened:
        if len(frame) < SHORT_OVERHEAD_BYTES:
            raise ForgedFrame("too short to be sealed")
        if peer_salt is None or not secret:
            raise ForgedFrame("a short frame before any full one; the peer will send one")
        if self._short is None or self._short[0] != (peer_salt, secret):
            cipher = _short_cipher(self._shared + secret, self._kind, peer_salt, self._salt)
            self._short = ((peer_salt, secret), cipher)
        counter = whole_counter(int.from_bytes(frame[_COUNTER_LOW], "big"), near=highest + 1)
        nonce, header = counter.to_bytes(_NONCE_BYTES, "big"), frame[:SHORT_HEADER_BYTES]
        try:
            plain = self._short[1].decrypt(nonce, frame[SHORT_HEADER_BYTES:], header)
        except InvalidTag:
            raise ForgedFrame("not sealed by our peer for us as we are now, or damaged on the way") from None
        return Opened(counter, peer_salt, plain, more_follows(frame), short=True)


def whole_counter(low: int, *, near: int) -> int:
    """The counter with those low 16 bits that is closest to `near`."""
    size = 1 << _LOW_BITS
    counter = near - (near & size - 1) + low
    if counter > near + size // 2 and counter >= size:
        return counter - size
    return counter + size if counter <= near - size // 2 else counter


class Counters:
    """What of a session must survive a restart: our own next counter, and which of the peer's were taken.

    `dump` gives the state to keep. `reserve_unsaved` says that it must be kept before any frame is sent, and
    `taken_unsaved` that it must be before one that acknowledges something.
    """

    def __init__(self, state: bytes | None = None) -> None:
        self._next = 1
        self._reserved = 0  # the last counter that the state to be kept lets us use
        self._on_disk = 0  # the last one that the state on disk lets us use
        self.highest = 0
        self._taken = 0  # bit i: highest - i was taken
        self.taken_unsaved = False
        if state:
            self._load(state)

    @property
    def reserve_unsaved(self) -> bool:
        """Whether the counter last given is not on the disk yet."""
        return self._next - 1 > self._on_disk

    @property
    def newest(self) -> int:
        """The counter last given."""
        return self._next - 1

    def next(self) -> int:
        """A counter that was never used."""
        if self._next > MAX_COUNTER:
            raise OverflowError("all counters of this session are used up; join again with a new invite")
        if self._next + RESERVE // 2 > self._reserved:
            # early, so that on a full disk there are some left to say so with
            self._reserved = self._next + RESERVE - 1
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
        self.taken_unsaved = True

    def dump(self) -> bytes:
        """The state to keep."""
        return b"\x01" + varint(self._reserved) + varint(self.highest) + self._taken.to_bytes(WINDOW // 8, "big")

    def saved(self) -> None:
        """What `dump` last gave is on the disk."""
        self._on_disk = self._reserved
        self.taken_unsaved = False

    def _load(self, state: bytes) -> None:
        reader = Reader(state)
        if reader.byte() != 1:
            raise MalformedFrame("the kept state of a session is of an unknown form; join again with a new invite")
        self._reserved = self._on_disk = reader.varint()
        self._next = self._reserved + 1
        self.highest = reader.varint()
        self._taken = int.from_bytes(reader.take(WINDOW // 8), "big")


def _key(shared: bytes, kind: FrameType, salt: int) -> bytes:
    return derive(shared, salt=salt.to_bytes(4, "big"), info=b"village-kit frame 2 " + kind.name.lower().encode())


def _short_cipher(shared: bytes, kind: FrameType, salt: int, peer_salt: int) -> AESCCM:
    salts = salt.to_bytes(4, "big") + peer_salt.to_bytes(4, "big")
    key = derive(shared, salt=salts, info=b"village-kit short frame 2 " + kind.name.lower().encode())
    return AESCCM(key, tag_length=SHORT_TAG_BYTES)
