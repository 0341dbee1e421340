"""Bundles are the Bundle Protocol's: another implementation reads ours and we read its."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyd3tn import bundle7

from sync.protocol.bundle import Bundle, encode_bundle, encode_payload, read_bundle, read_payload
from sync.protocol.crc import crc16_x25, crc32c
from sync.protocol.errors import MalformedFrame

SEPTEMBER_MS = 1_790_000_000_000
BUNDLE = Bundle(
    source="dtn://kit-orchard/sync",
    destination="dtn://core-city/sync",
    created_ms=SEPTEMBER_MS,
    sequence=7,
    lifetime_ms=86_400_000,
    payload=b"sealed" * 300,
)


def test_the_check_sums_are_those_of_the_standards() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc16_x25(b"123456789") == 0x906E


@pytest.mark.parametrize("created_ms", [SEPTEMBER_MS, None])
def test_another_implementation_reads_our_bundle_and_would_write_the_same_bytes(created_ms: int | None) -> None:
    ours = encode_bundle(replace(BUNDLE, created_ms=created_ms, hops=2))
    theirs = bundle7.Bundle.parse(ours)
    assert str(theirs.primary_block.source) == BUNDLE.source
    assert str(theirs.primary_block.destination) == BUNDLE.destination
    assert theirs.payload_block.data == BUNDLE.payload
    assert theirs.primary_block.calculate_crc() == theirs.primary_block.crc_provided
    assert all(block.calculate_crc() == block.crc_provided for block in [*theirs.blocks, theirs.payload_block])
    if created_ms is not None:  # it turns "no time" into the year 2000 when it reads
        assert bytes(theirs) == ours


@pytest.mark.parametrize("crc", list(bundle7.CRCType))
def test_we_read_another_implementation_s_bundle_with_blocks_we_do_not_know(crc: bundle7.CRCType) -> None:
    theirs = bundle7.serialize_bundle7(
        BUNDLE.source,
        "ipn:3.4",
        b"payload",
        creation_timestamp=0,
        sequence_number=3,
        bundle_age=5,
        hop_limit=9,
        hop_count=1,
        previous_node_eid="dtn://gateway/",
        crc_type_primary=bundle7.CRCType.CRC16 if crc is bundle7.CRCType.NONE else crc,
        crc_type_canonical=crc,
    )
    ours, end = read_bundle(theirs)
    assert end == len(theirs)
    assert (ours.source, ours.destination, ours.created_ms) == (BUNDLE.source, "ipn:3.4", None)
    assert (ours.payload, ours.hops, ours.hop_limit) == (b"payload", 1, 9)


def test_fragments_are_refused_by_name() -> None:
    fragment = bundle7.serialize_bundle7(
        BUNDLE.source,
        BUNDLE.destination,
        b"half",
        creation_timestamp=SEPTEMBER_MS // 1000,
        flags=bundle7.BundleProcFlag.IS_FRAGMENT,
        fragment_offset=0,
        total_adu_length=8,
    )
    with pytest.raises(MalformedFrame, match="fragment"):
        read_bundle(fragment)


@given(st.data())
def test_a_bundle_with_a_wrong_byte_is_refused_or_says_the_same(data: st.DataObject) -> None:
    good = encode_bundle(replace(BUNDLE, payload=b"sealed"))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        told, _ = read_bundle(bytes(bad))
    except MalformedFrame:
        return
    # what the check sums do not cover are the heads of the CRC fields themselves and the two brackets
    assert replace(told) == replace(BUNDLE, payload=b"sealed")


@given(st.binary(max_size=200))
def test_anything_at_all_is_read_or_refused(data: bytes) -> None:
    for each in (data, b"\x9f" + data):
        try:
            read_bundle(each)
        except MalformedFrame:
            continue
    try:
        read_payload(data)
    except MalformedFrame:
        return


@given(st.integers(0, 1000))
def test_a_bundle_cut_short_is_refused(cut: int) -> None:
    whole = encode_bundle(BUNDLE)
    with pytest.raises(MalformedFrame):
        read_bundle(whole[: min(cut, len(whole) - 1)])


def test_frames_come_out_of_a_payload_as_they_went_in() -> None:
    frames = [b"", b"one", b"x" * 70_000]
    assert read_payload(encode_payload(frames)) == frames


def test_copies_of_copies_come_to_an_end() -> None:
    bundle: Bundle | None = BUNDLE
    passed = 0
    while bundle is not None:
        bundle, passed = bundle.passed_on(), passed + 1
    assert passed == BUNDLE.hop_limit + 1
