from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.alert import Alert, Area, Certainty, Severity, Urgency, to_record_body
from sync.protocol.beacons import NOTHING, lacking
from sync.protocol.errors import MalformedFrame
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.items import (
    WIRE_EPOCH_MS,
    Accepted,
    Beacon,
    Holding,
    Position,
    RecordPacker,
    decode_items,
    encode_accepted,
    encode_beacon,
)
from sync.protocol.outgoing import WHOLE_BYTES
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.sealing import OVERHEAD_BYTES
from sync.protocol.wire import Reader, varint, zigzag
from sync.protocol.words import squeeze, unsqueeze

IDS = st.builds(
    RecordId, origin=st.sampled_from(["kit-a", "kit-b"]), epoch=st.integers(0, 2**30), seq=st.integers(1, 2**40)
)
RECORDS = st.builds(
    Record,
    id=IDS,
    kind=st.sampled_from(["alert", "readings", "voice note", "x" * 32]),
    priority=st.sampled_from(Priority),
    created_ms=st.integers(-(2**40), 2**50),
    lifetime_s=st.none() | st.integers(1, 2**30),
    addressee=st.sampled_from(["", "kit-c"]),
    body=st.binary(max_size=300),
)
AGED = st.builds(lambda record, age_s: replace(record, created_ms=0, age_s=age_s), RECORDS, st.integers(0, 2**30))


def holding(epoch: int, below: int, lengths: list[int]) -> Holding:
    starts = [below + 10 * index + 5 for index in range(len(lengths))]
    return Holding(epoch, below, tuple((start, start + size) for start, size in zip(starts, lengths, strict=True)))


HOLDINGS = st.builds(holding, st.integers(0, 2**21), st.integers(1, 10_000), st.lists(st.integers(1, 4), max_size=8))
BEACONS = st.builds(
    Beacon,
    time_ms=st.integers(WIRE_EPOCH_MS // 1000, 2**32).map(lambda s: s * 1000),
    trusted=st.booleans(),
    wants_answer=st.booleans(),
    free_airtime_percent=st.none() | st.integers(0, 100),
    position=st.none() | st.builds(Position, st.integers(0, 2**21), st.tuples(*[st.integers(0, 10_000)] * 6)),
    holdings=st.lists(HOLDINGS, max_size=3).map(tuple),
)


@given(records=st.lists(RECORDS | AGED, max_size=12))
def test_records_come_out_of_a_frame_as_they_went_in(records: list[Record]) -> None:
    packer, plain = RecordPacker("kit-a"), b""
    for record in records:
        plain += packer.encode(record)
        packer.keep(record)
    assert decode_items(plain, sender="kit-a") == records


@given(records=st.lists(RECORDS, min_size=1, max_size=5))
def test_an_epoch_that_both_ends_know_is_not_spelled(records: list[Record]) -> None:
    epoch = records[0].id.epoch
    known, unknown = RecordPacker("kit-a", epoch=epoch), RecordPacker("kit-a")
    assert len(known.encode(records[0])) < len(unknown.encode(records[0]))
    assert decode_items(known.encode(records[0]), sender="kit-a", epoch=epoch) == records[:1]


MESSAGES = (
    "The clinic needs more water tonight, and the road by the lower bridge is blocked by stones. Please send two men",
    "Tafadhali leteni dawa ya homa kwa watoto wawili kesho asubuhi, barabara ya mto imefungwa na mawe. Tunahitaji watu",
)


@pytest.mark.parametrize("text", MESSAGES)
def test_a_message_is_squeezed_to_three_quarters_and_comes_out_as_it_went_in(text: str) -> None:
    short = squeeze(text.encode())
    assert short is not None
    assert len(short) < 0.75 * len(text)
    assert unsqueeze(short) == text.encode()


@given(body=st.binary(max_size=5000) | st.text(max_size=300).map(str.encode))
def test_whatever_is_squeezed_comes_out_again(body: bytes) -> None:
    short = squeeze(body)
    assert short is None or (len(short) < len(body) and unsqueeze(short) == body)


def test_a_body_that_would_unpack_for_ever_is_refused() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(10_000_000)) + deflate.flush()
    for bad in (bomb, b"\x00", b"", bytes(30)):
        with pytest.raises(MalformedFrame):
            unsqueeze(bad)


@given(records=st.lists(RECORDS | AGED, max_size=6))
def test_squeezed_records_come_out_as_they_went_in(records: list[Record]) -> None:
    packer, plain = RecordPacker("kit-a", short=True), b""
    for record in records:
        plain += packer.encode(record)
        packer.keep(record)
    assert decode_items(plain, sender="kit-a") == records


@given(beacon=BEACONS)
def test_a_beacon_tells_all_that_it_was_given(beacon: Beacon) -> None:
    assert decode_items(encode_beacon(beacon), sender="k") == [beacon]


@given(told=HOLDINGS, newest=st.integers(1, 12_000))
def test_what_a_holding_does_not_name_is_missing(told: Holding, newest: int) -> None:
    missing = {seq for start, end in told.missing(newest=newest) for seq in range(start, end)}
    end = told.told_up_to or newest + 1
    assert missing & set(range(1, min(end, newest + 1))) == {
        seq for seq in range(1, min(end, newest + 1)) if not told.has(seq)
    }


def test_epochs_that_a_full_list_is_too_short_for_are_not_judged() -> None:
    told = (Holding(9, 5), Holding(8, 3), Holding(7, 2))
    assert list(lacking(told, {3: 10, 8: 2, 9: 4, 11: 2})) == [(11, 1, 3)]
    assert list(lacking((NOTHING,), {3: 10})) == [(3, 1, 11)]


@given(ids=st.sets(st.builds(RecordId, origin=st.sampled_from(["kit-a", "b"]), epoch=st.integers(0, 3),
                             seq=st.integers(1, 2000)), max_size=60))  # fmt: skip
def test_every_record_that_is_acknowledged_is_named_once(ids: set[RecordId]) -> None:
    items = list(encode_accepted(ids, peer="kit-a"))
    told = decode_items(b"".join(item for item, _ in items), sender="x")
    named = [
        RecordId(item.origin or "kit-a", item.epoch, seq)
        for item in told
        if isinstance(item, Accepted)
        for seq in item.seqs
    ]
    assert sorted(named) == sorted(ids)
    assert sorted(each for _, covered in items for each in covered) == sorted(ids)


@given(noise=st.binary(max_size=200))
def test_noise_inside_a_frame_is_refused_as_malformed_and_nothing_else(noise: bytes) -> None:
    with contextlib.suppress(MalformedFrame):
        decode_items(noise, sender="kit-a")


@given(value=st.integers(-(2**61), 2**61))
def test_numbers_of_either_sign_survive_the_wire(value: int) -> None:
    assert Reader(zigzag(value)).zigzag() == value
    assert Reader(varint(abs(value))).varint() == abs(value)


def test_an_item_of_a_later_version_is_skipped() -> None:
    later = bytes((0x41, 3)) + b"new"
    beacon = encode_beacon(Beacon(1_790_000_000_000, trusted=True))
    assert decode_items(later + beacon, sender="k") == [Beacon(1_790_000_000_000, trusted=True)]


def test_a_frost_warning_goes_in_one_lora_frame_with_everything() -> None:
    body = to_record_body(
        Alert(
            identifier="frost-orchard-village-20260412",
            sender="kit-7gq2mzk4@village-kit",
            sent_ms=1_790_000_000_000,
            event="frost",
            urgency=Urgency.EXPECTED,
            severity=Severity.SEVERE,
            certainty=Certainty.LIKELY,
            onset_ms=1_790_020_000_000,
            expires_ms=1_790_040_000_000,
            area=Area("orchard-village"),
            parameters={"tmin_c": -2.3, "tmin_p10_c": -3.9, "tmin_p90_c": -0.8, "p_frost": 0.94},
        )
    )
    record = Record(
        id=RecordId("kit-7gq2mzk4", 1_048_576, 123_456),
        kind="alert",
        priority=Priority.DISTRESS,
        created_ms=1_790_000_000_123,
        lifetime_s=86_400,
        body=body,
    )
    item = RecordPacker("kit-7gq2mzk4").encode(record)
    assert 100 <= len(body) <= 160
    assert len(item) - len(body) <= 20
    assert len(item) <= WHOLE_BYTES
    assert len(item) + OVERHEAD_BYTES <= LORA_FRAME_BYTES


@pytest.mark.parametrize("plain", [b"\x87\x01", b"\x80\x63", b"\x30", b"\x01abc", b"\x80\x01\x02\x00\x00"])
def test_a_broken_item_says_what_is_wrong(plain: bytes) -> None:
    with pytest.raises(MalformedFrame, match=r"\w"):
        decode_items(plain, sender="k")
