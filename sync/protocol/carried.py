"""Frames that are carried by hand: sealed like those of a link, but bound to no session.

    byte 0       version and type: 4 up, 5 down (`sync.protocol.frames`)
    bytes 1-2    link id
    bytes 3-18   salt: 16 random bytes, one per bundle
    bytes 19-22  number of the frame in its bundle, from 0
    …            ChaCha20-Poly1305 (RFC 8439) of the items, with the 23 bytes above as associated data; 16-byte tag

Key: X25519 of the two static keys, through HKDF-SHA-256 with the salt and the direction; the nonce is the number. A
stick may lie in a drawer for a month while a unit restarts twenty times, so neither a session's counters nor its replay
window can apply. Neither is needed: a record is committed once however often it comes, and "accepted" stays true. What
must not repeat, key and nonce together, does not, because a salt of 128 random bits does not.

Only records and acknowledgements are taken from such a frame. An acknowledgement says what is held, not only under
which name: two kits with one SD card that meet the core on sticks alone give their records the same names, and no
session notices it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.protocol.errors import ForeignFrame, ForgedFrame
from sync.protocol.frames import FrameType, first_byte, frame_link_id, frame_type
from sync.protocol.items import AcceptedAs, Code, Item, RecordPacker, Welcome, decode_items
from sync.protocol.keys import agree, derive
from sync.protocol.peers import Peer, Role
from sync.protocol.records import DIGEST_BYTES, Held, Record, RecordId
from sync.protocol.wire import short_text, varint

SALT_BYTES = 16
HEADER_BYTES = 3 + SALT_BYTES + 4
TAG_BYTES = 16

FRAME_BYTES = 32 * 1024
"""A frame is closed once it holds this much: what a damaged block of the stick costs."""

_MAX_FRAMES = 1 << 32


@dataclass(frozen=True)
class CarriedItems:
    """What a carried frame told. `welcome` is the core's name, where the core has welcomed us."""

    records: tuple[Record, ...]
    accepted: tuple[Held, ...]
    welcome: str | None = None


class CarriedFrames:
    """Seals and opens the carried frames of one pair of peers.

    Args:
        unit: our own id.
        exchange_private: our X25519 private key.
        peer: the other end.
    """

    def __init__(self, *, unit: str, exchange_private: bytes, peer: Peer) -> None:
        self.peer = peer
        self._unit = unit
        self._shared = agree(exchange_private, peer.exchange_public)
        up, down = FrameType.CARRIED_UP, FrameType.CARRIED_DOWN
        self._ours, self._theirs = (up, down) if peer.role is Role.CORE else (down, up)

    def seal(self, plain: bytes, *, salt: bytes, number: int) -> bytes:
        """One frame. The caller sees to it that a salt is drawn once and a number used once with it."""
        head = (
            bytes((first_byte(self._ours),)) + self.peer.link_id.to_bytes(2, "big") + salt + number.to_bytes(4, "big")
        )
        return head + self._cipher(self._ours, salt).encrypt(number.to_bytes(12, "big"), plain, head)

    def open(self, frame: bytes) -> CarriedItems:
        """What our peer has put into it.

        Raises:
            RemoteSyncError: it is foreign, forged, damaged or malformed.
        """
        sender = self.peer.unit
        items = self._open(frame, self._theirs, sender=sender)
        records = _records(items)
        if self.peer.role is Role.KIT and any(record.id.origin != sender for record in records):
            raise ForgedFrame(f"{sender} sends a record of another unit")
        welcome = next((item.name for item in items if isinstance(item, Welcome)), None)
        told = (each for item in items if isinstance(item, AcceptedAs) for each in self._named(item))
        return CarriedItems(records, tuple(told), welcome)

    def open_own(self, frame: bytes) -> tuple[Record, ...]:
        """The records that we have put into it ourselves, so that a stick need not be filled twice.

        Raises:
            RemoteSyncError: we have not sealed it, or it was damaged.
        """
        return _records(self._open(frame, self._ours, sender=self._unit))

    def _open(self, frame: bytes, kind: FrameType, *, sender: str) -> list[Item]:
        if frame_type(frame) is not kind or frame_link_id(frame) != self.peer.link_id:
            raise ForeignFrame("another direction or another kit's")
        if len(frame) < HEADER_BYTES + TAG_BYTES:
            raise ForgedFrame("too short to be sealed")
        head, salt, number = frame[:HEADER_BYTES], frame[3 : 3 + SALT_BYTES], frame[3 + SALT_BYTES : HEADER_BYTES]
        try:
            plain = self._cipher(kind, salt).decrypt(bytes(8) + number, frame[HEADER_BYTES:], head)
        except InvalidTag:
            raise ForgedFrame("not sealed by our peer, or damaged on the way") from None
        return decode_items(plain, sender=sender)

    def _named(self, item: AcceptedAs) -> Iterator[Held]:
        for seq, digest in enumerate(item.digests, start=item.first):
            yield Held(RecordId(item.origin or self._unit, item.epoch, seq), digest)

    def _cipher(self, kind: FrameType, salt: bytes) -> ChaCha20Poly1305:
        info = b"village-kit carried 1 " + (b"up" if kind is FrameType.CARRIED_UP else b"down")
        return ChaCha20Poly1305(derive(self._shared, salt=salt, info=info))


def _records(items: Iterable[Item]) -> tuple[Record, ...]:
    return tuple(item for item in items if isinstance(item, Record))


def plain_frames(unit: str, records: Iterable[Record]) -> Iterator[tuple[bytes, list[RecordId]]]:
    """The records packed into frames, each with the names of what is in it."""
    packer, plain, names = RecordPacker(unit), bytearray(), list[RecordId]()
    for record in records:
        plain += packer.encode(record)
        packer.keep(record)
        names.append(record.id)
        if len(plain) >= FRAME_BYTES:
            yield bytes(plain), names
            packer, plain, names = RecordPacker(unit), bytearray(), []
    if names:
        yield bytes(plain), names


def accepted_frames(held: Iterable[Held], *, peer: str) -> Iterator[bytes]:
    """Acknowledgements of everything that is held, as the items of frames: a record in a row costs four bytes."""
    told = bytearray()
    for run in _runs(sorted(held)):
        origin, epoch, first = run[0].id
        head = bytes((Code.ACCEPTED_AS,)) + short_text("" if origin == peer else origin) + varint(epoch)
        told += head + varint(first) + varint(len(run)) + b"".join(each.digest for each in run)
        if len(told) >= FRAME_BYTES:
            yield bytes(told)
            told.clear()
    if told:
        yield bytes(told)


def _runs(held: Iterable[Held]) -> Iterator[list[Held]]:
    """What lies side by side, in runs that fit into a frame."""
    run: list[Held] = []
    for each in held:
        follows = run and run[-1].id[:2] == each.id[:2] and run[-1].id.seq + 1 == each.id.seq
        if run and not (follows and len(run) * DIGEST_BYTES < FRAME_BYTES):
            yield run
            run = []
        run.append(each)
    if run:
        yield run
