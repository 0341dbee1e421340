"""Broadcasts of the core: one record for many kits, in packets of which any K of the right object do.

The object is a signature of the core and what it signs: a version, the link ids of the kits it is for (none = all), and
the record as it would stand alone in a frame. It is signed, not sealed: what everybody is to hear needs no secrecy, and
a key that all kits had would protect little. It is believed only when it is whole and the signature is right.

A packet, on the air:

    0x6C
    core tag (2): whose broadcast it is
    object id (4): of SHA-256 over the object
    length (3): of the object
    RaptorQ packet: payload id (4), a symbol of 8 to 200 bytes in steps of 8

Invariants: a packet proves nothing, so what it can make us hold and compute is bounded; a set of symbols that makes no
object of the core's is thrown away whole and begun anew; the record also comes by the ordinary session.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sync.protocol import fountain
from sync.protocol.errors import ForeignFrame, ForgedFrame, MalformedFrame
from sync.protocol.frames import LORA_FRAME_BYTES, FrameType, first_byte
from sync.protocol.items import RecordPacker, decode_record
from sync.protocol.records import Record
from sync.protocol.wire import Reader, varint

EVERYBODY = "*"
"""The addressee of a record that is for more than one kit."""

SIGNATURE_BYTES, KEY_BYTES = 64, 32
"""Ed25519 (RFC 8032)."""

MAX_OBJECT_BYTES = 256 * 1024 + 4096
"""The largest record, its signature, and the link ids of a thousand kits."""

HEADER_BYTES = 10
SYMBOL_BYTES = LORA_FRAME_BYTES - HEADER_BYTES - fountain.PAYLOAD_ID_BYTES
"""200: the largest frame is full."""

MAX_OBJECTS = 8
"""Gathered at once, per core; the one that has been quiet for longest gives way."""

MAX_GATHERED_BYTES = 1024 * 1024
"""Symbols held of all of them."""

MAX_SURPLUS = 64
"""Symbols beyond K after which a set that will not become whole is thrown away: RFC 6330 fails at K + 2 once in a
million times, so one of them was forged."""

REMEMBERED_OBJECTS = 64
"""Whole ones: later packets of them are not gathered again."""

_VERSION = 1
_CONTEXT = b"village-kit multicast 1"
_MAX_KITS = 1024
_LINK_ID_BYTES = 2

Sign = Callable[[bytes], bytes]


def core_tag(core_public: bytes) -> bytes:
    """The two bytes by which a kit knows its own core's broadcasts; not a secret.

    Args:
        core_public: the core's X25519 public key.
    """
    return hashlib.sha256(b"village-kit multicast tag" + core_public).digest()[:2]


def make_object(record: Record, *, link_ids: tuple[int, ...] = (), core_public: bytes, sign: Sign) -> bytes:
    """The object of a record of the core's.

    Args:
        record: its origin is the core.
        link_ids: of the kits it is for; none = for all.
        core_public: the core's X25519 public key.
        sign: makes the core's Ed25519 signature, 64 bytes.
    """
    packer = RecordPacker(record.id.origin, short=True)
    ids = b"".join(each.to_bytes(_LINK_ID_BYTES, "big") for each in sorted(link_ids))
    content = bytes((_VERSION,)) + varint(len(link_ids)) + ids + packer.encode(record)
    return sign(_signed(core_public, content)) + content


def open_object(told: bytes, *, core: str, core_public: bytes, signing_public: bytes) -> tuple[Record, frozenset[int]]:
    """The record and the link ids of the kits it is for (none = for all).

    Args:
        told: the object.
        core: the core's unit id.
        core_public: its X25519 public key.
        signing_public: its Ed25519 public key.

    Raises:
        ForgedFrame: the signature is not the core's.
        MalformedFrame: it is, but what it signs makes no sense.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = told[SIGNATURE_BYTES:]
    try:
        key = Ed25519PublicKey.from_public_bytes(signing_public)
        key.verify(told[:SIGNATURE_BYTES], _signed(core_public, content))
    except (InvalidSignature, ValueError) as error:
        raise ForgedFrame("a broadcast without the core's signature") from error
    reader = Reader(content)
    version, count = reader.byte(), reader.varint()
    if version != _VERSION or count > _MAX_KITS:
        raise MalformedFrame(f"a broadcast of version {version}")
    ids = frozenset(int.from_bytes(reader.take(_LINK_ID_BYTES), "big") for _ in range(count))
    record = decode_record(reader.rest(), sender=core)
    if record.id.origin != core or record.addressee != EVERYBODY:
        raise MalformedFrame("a broadcast of somebody else's record")
    return record, ids


def object_id(told: bytes) -> bytes:
    """By which its packets name it."""
    return hashlib.sha256(b"village-kit multicast" + told).digest()[:4]


def symbol_bytes_for(size: int) -> int:
    """The smallest symbols with which so many bytes still need no more frames: a short warning is no full frames."""
    frames = fountain.source_symbols(size, SYMBOL_BYTES)
    each = -(-size // frames)
    return -(-each // fountain.ALIGNMENT) * fountain.ALIGNMENT


def frames_of(told: bytes, *, core_public: bytes, repair: int) -> list[bytes]:
    """The object's frames: those of its K source symbols, then so many of repair symbols."""
    head = bytes((first_byte(FrameType.MULTICAST),)) + core_tag(core_public) + object_id(told)
    head += len(told).to_bytes(3, "big")
    made = fountain.packets(told, symbol_bytes=symbol_bytes_for(len(told)), repair=repair)
    return [head + each for each in made]


@dataclass
class _Set:
    """Symbols that claim to be of one object."""

    gatherer: fountain.Gatherer
    symbol_bytes: int
    needed: int

    @property
    def held_bytes(self) -> int:
        return len(self.gatherer) * self.symbol_bytes


class Gathering:
    """A kit's side: frames come in, the core's records come out.

    Args:
        core: the core's unit id.
        core_public: its X25519 public key.
        link_id: ours.
    """

    def __init__(self, *, core: str, core_public: bytes, link_id: int) -> None:
        self._core, self._core_public, self._link_id = core, core_public, link_id
        self._tag = core_tag(core_public)
        self._sets: OrderedDict[tuple[bytes, int, int], _Set] = OrderedDict()
        self._done: OrderedDict[bytes, Record | None] = OrderedDict()

    def take(self, frame: bytes, *, signing_public: bytes | None) -> tuple[Record | None, bool]:
        """The record that this frame makes whole, else None; and whether it was so before.

        Args:
            frame: of type `FrameType.MULTICAST`.
            signing_public: the core's Ed25519 public key; None = not known yet, then nothing is gathered.

        Raises:
            RemoteSyncError: it is another core's, makes no sense, or made whole what the core did not sign.
        """
        name, size, packet = self._read(frame)
        if name in self._done:
            self._done.move_to_end(name)
            return self._done[name], True
        if signing_public is None:
            raise ForeignFrame("a broadcast of a core whose signing key is not known yet")
        made = self._gather((name, size, len(packet)), packet)
        if made is None:
            return None, False
        if object_id(made) != name:
            raise ForgedFrame("the packets of a broadcast do not belong together")
        try:
            record, link_ids = open_object(
                made, core=self._core, core_public=self._core_public, signing_public=signing_public
            )
        except MalformedFrame:
            self._remember(name, None)
            raise
        ours = record if not link_ids or self._link_id in link_ids else None
        self._remember(name, ours)
        return ours, False

    def forget(self, record: Record) -> None:
        """It could not be committed: its packets are to count as new again."""
        for name in [name for name, known in self._done.items() if known is not None and known.id == record.id]:
            del self._done[name]

    @property
    def held_bytes(self) -> int:
        """Symbols held of objects that are not whole."""
        return sum(each.held_bytes for each in self._sets.values())

    def _read(self, frame: bytes) -> tuple[bytes, int, bytes]:
        reader = Reader(frame[1:])
        if reader.take(2) != self._tag:
            raise ForeignFrame("a broadcast of another core")
        name, size = reader.take(4), int.from_bytes(reader.take(3), "big")
        packet = reader.rest()
        symbol_bytes = len(packet) - fountain.PAYLOAD_ID_BYTES
        if not SIGNATURE_BYTES < size <= MAX_OBJECT_BYTES or symbol_bytes != symbol_bytes_for(size):
            raise MalformedFrame(f"a broadcast of {size} bytes in symbols of {symbol_bytes}")
        return name, size, packet

    def _gather(self, key: tuple[bytes, int, int], packet: bytes) -> bytes | None:
        known = self._sets.get(key)
        if known is None:
            symbol_bytes = len(packet) - fountain.PAYLOAD_ID_BYTES
            needed = fountain.source_symbols(key[1], symbol_bytes)
            known = self._sets[key] = _Set(fountain.Gatherer(key[1], symbol_bytes), symbol_bytes, needed)
        self._sets.move_to_end(key)
        made = known.gatherer.add(packet)
        if made is not None or len(known.gatherer) > known.needed + MAX_SURPLUS:
            del self._sets[key]  # whole, or spoilt: either way nothing more is to be had of it
        while len(self._sets) > MAX_OBJECTS or self.held_bytes > MAX_GATHERED_BYTES:
            self._sets.popitem(last=False)
        return made

    def _remember(self, name: bytes, record: Record | None) -> None:
        self._done[name] = record
        while len(self._done) > REMEMBERED_OBJECTS:
            self._done.popitem(last=False)


def _signed(core_public: bytes, content: bytes) -> bytes:
    return _CONTEXT + core_public + content
