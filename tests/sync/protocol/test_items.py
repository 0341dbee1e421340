from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.alert import Alert, Area, Certainty, Severity, Urgency, to_record_body
from sync.protocol.errors import MalformedFrame
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.items import (
    Accepted,
    Beacon,
    RecordPacker,
    decode_items,
    encode_accepted,
    encode_beacon,
)
from sync.protocol.outgoing import WHOLE_BYTES
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.sealing import OVERHEAD_BYTES
from sync.protocol.wire import Reader, varint, zigzag

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


@given(records=st.lists(RECORDS, max_size=12))
def test_records_come_out_of_a_frame_as_they_went_in(records: list[Record]) -> None:
    packer, plain = RecordPacker("kit-a"), b""
    for record in records:
        plain += packer.encode(record)
        packer.keep(record)
    assert decode_items(plain, sender="kit-a") == records


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
