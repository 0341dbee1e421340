"""Bundles of the Bundle Protocol, version 7 (RFC 9171): the form in which sealed frames travel on a USB stick.

Any BPv7 node can carry, store and forward them; only the payload is ours. What is written: a primary block and a
payload block, each with CRC32C, a hop count block (RFC 9171, section 4.4.3) so that copies of copies come to an end,
and, from a unit that does not know the time, creation time 0 with a bundle age block (section 4.2.7). What is read may
have any CRC type and unknown extension blocks. Fragments are refused: every bundle here is small enough to stay whole.

The reader knows only the CBOR (RFC 8949) that a bundle needs, and bounds every length: a stick is hostile input. It
checks the CRCs over the bytes as they came, not over bytes encoded anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sync.protocol.cbor_reader import CborReader, text_head, uint_head
from sync.protocol.crc import crc16_x25, crc32c
from sync.protocol.errors import MalformedFrame

MAX_BUNDLE_BYTES = 2 * 1024 * 1024
"""Read at once; ours are at most a third of it."""

DTN_EPOCH_MS = 946_684_800_000
"""2000-01-01T00:00:00Z in Unix ms: DTN time counts from it (section 4.2.6)."""

HOP_LIMIT = 8
NONE = "dtn:none"

_VERSION = 7
_IS_FRAGMENT, _NOT_TO_BE_FRAGMENTED = 0x01, 0x04
_PAYLOAD, _BUNDLE_AGE, _HOP_COUNT = 1, 7, 10
_CRC_BYTES = {0: 0, 1: 2, 2: 4}
_CRC32C = 2
_INDEFINITE_ARRAY, _BREAK = 0x9F, 0xFF
_DTN, _IPN = 1, 2
_PRIMARY_FIELDS, _CANONICAL_FIELDS = 8, 5
_MAX_BLOCKS = 32
_MAX_EID = 255


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One bundle.

    Attributes:
        source: endpoint id, for example `dtn://kit-abc/sync`.
        destination: likewise.
        created_ms: Unix ms; None = the source did not know the time.
        sequence: tells bundles of one source and one creation time apart.
        lifetime_ms: after creation.
        payload: what it carries.
        hops: how many carriers have copied it so far.
        hop_limit: how many may.
    """

    source: str
    destination: str
    created_ms: int | None
    sequence: int
    lifetime_ms: int
    payload: bytes
    hops: int = 0
    hop_limit: int = HOP_LIMIT

    def expired(self, now_ms: int) -> bool:
        """Whether its lifetime has ended; unknown (no) where the source did not know the time."""
        return self.created_ms is not None and self.created_ms + self.lifetime_ms < now_ms

    def passed_on(self) -> Bundle | None:
        """The same after one more carrier; None when it has had all it may have."""
        return None if self.hops >= self.hop_limit else replace(self, hops=self.hops + 1)


def encode_bundle(bundle: Bundle) -> bytes:
    """The bundle in CBOR."""
    created = 0 if bundle.created_ms is None else max(bundle.created_ms - DTN_EPOCH_MS, 1)
    primary = (
        uint_head(_VERSION)
        + uint_head(_NOT_TO_BE_FRAGMENTED)
        + uint_head(_CRC32C)
        + _eid(bundle.destination)
        + _eid(bundle.source)
        + _eid(NONE)
        + _array(2)
        + uint_head(created)
        + uint_head(bundle.sequence)
        + uint_head(bundle.lifetime_ms)
    )
    hops = _array(2) + uint_head(bundle.hop_limit) + uint_head(bundle.hops)
    age = b"" if bundle.created_ms is not None else _canonical(_BUNDLE_AGE, 3, uint_head(0))
    return b"".join(
        (
            bytes((_INDEFINITE_ARRAY,)),
            _with_crc32c(_array(_PRIMARY_FIELDS + 1) + primary),
            _canonical(_HOP_COUNT, 2, hops),
            age,
            _canonical(_PAYLOAD, 1, bundle.payload),
            bytes((_BREAK,)),
        )
    )


def read_bundle(data: bytes, at: int = 0) -> tuple[Bundle, int]:
    """The bundle that begins there, and where it ends: bundles may follow one another in a file.

    Raises:
        MalformedFrame: it is none, it was damaged, or it is of a kind that is not read here.
    """
    reader = CborReader(data, at)
    if reader.byte() != _INDEFINITE_ARRAY:
        raise MalformedFrame("no bundle begins here")
    begin = reader.at
    primary = _read_primary(reader, begin)
    payload: bytes | None = None
    hops = (0, HOP_LIMIT)
    for _ in range(_MAX_BLOCKS):
        if reader.peek() == _BREAK:
            reader.byte()
            break
        kind, content = _read_canonical(reader)
        if kind == _PAYLOAD:
            payload = content
        elif kind == _HOP_COUNT:
            inner = CborReader(content)
            inner.array(2, 2)
            limit, count = inner.uint(), inner.uint()
            hops = (count, limit)
    else:
        raise MalformedFrame("a bundle of too many blocks")
    if payload is None:
        raise MalformedFrame("a bundle without a payload")
    return replace(primary, payload=payload, hops=hops[0], hop_limit=min(hops[1], 255)), reader.at


def encode_payload(frames: list[bytes]) -> bytes:
    """Sealed frames as a bundle's payload: a CBOR array of byte strings."""
    return _array(len(frames)) + b"".join(uint_head(len(frame), 2) + frame for frame in frames)


def read_payload(payload: bytes) -> list[bytes]:
    """The sealed frames in it.

    Raises:
        MalformedFrame: it is something else.
    """
    reader = CborReader(payload)
    count = reader.array(0, 1_000_000)
    return [reader.byte_string() for _ in range(count)]


def _read_primary(reader: CborReader, begin: int) -> Bundle:
    count = reader.array(_PRIMARY_FIELDS, _PRIMARY_FIELDS + 3)
    if reader.uint() != _VERSION:
        raise MalformedFrame("a bundle of another version than 7")
    flags, crc_type = reader.uint(), reader.uint()
    destination, source, _report_to = (_read_eid(reader) for _ in range(3))
    reader.array(2, 2)
    created, sequence, lifetime_ms = reader.uint(), reader.uint(), reader.uint()
    if flags & _IS_FRAGMENT:
        raise MalformedFrame("a fragment of a bundle; carry whole bundles")
    _check_crc(reader, begin, crc_type, fields=count - _PRIMARY_FIELDS)
    return Bundle(
        source=source,
        destination=destination,
        created_ms=created + DTN_EPOCH_MS if created else None,
        sequence=sequence,
        lifetime_ms=lifetime_ms,
        payload=b"",
    )


def _read_canonical(reader: CborReader) -> tuple[int, bytes]:
    begin = reader.at
    count = reader.array(_CANONICAL_FIELDS, _CANONICAL_FIELDS + 1)
    kind, _number, _flags, crc_type = (reader.uint() for _ in range(4))
    content = reader.byte_string()
    _check_crc(reader, begin, crc_type, fields=count - _CANONICAL_FIELDS)
    return kind, content


def _check_crc(reader: CborReader, begin: int, crc_type: int, *, fields: int) -> None:
    if crc_type not in _CRC_BYTES or fields != (1 if crc_type else 0):
        raise MalformedFrame("a bundle's block with an unknown check sum")
    if not crc_type:
        return
    told = reader.byte_string()
    width = _CRC_BYTES[crc_type]
    if len(told) != width:
        raise MalformedFrame("a bundle's block with a check sum of the wrong size")
    covered = reader.between(begin, reader.at - width) + bytes(width)
    actual = crc32c(covered) if crc_type == _CRC32C else crc16_x25(covered)
    if actual != int.from_bytes(told, "big"):
        raise MalformedFrame("a bundle that was damaged on its way")


def _read_eid(reader: CborReader) -> str:
    reader.array(2, 2)
    scheme = reader.uint()
    if scheme == _DTN:
        if reader.major() == 0:
            reader.uint()
            return NONE
        return f"dtn:{reader.text(_MAX_EID)}"
    if scheme == _IPN:
        return "ipn:" + ".".join(str(reader.uint()) for _ in range(reader.array(2, 3)))
    raise MalformedFrame(f"an endpoint of the unknown scheme {scheme}")


def _eid(name: str) -> bytes:
    if name == NONE:
        return _array(2) + uint_head(_DTN) + uint_head(0)
    scheme, _, rest = name.partition(":")
    if scheme == "dtn":
        return _array(2) + uint_head(_DTN) + text_head(rest)
    numbers = [int(part) for part in rest.split(".")]
    return _array(2) + uint_head(_IPN) + _array(len(numbers)) + b"".join(uint_head(each) for each in numbers)


def _canonical(kind: int, number: int, content: bytes) -> bytes:
    head = uint_head(kind) + uint_head(number) + uint_head(0) + uint_head(_CRC32C)
    return _with_crc32c(_array(_CANONICAL_FIELDS + 1) + head + uint_head(len(content), 2) + content)


def _with_crc32c(block: bytes) -> bytes:
    told = block + uint_head(4, 2)
    return told + crc32c(told + bytes(4)).to_bytes(4, "big")


def _array(count: int) -> bytes:
    return uint_head(count, 4)
