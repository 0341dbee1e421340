from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.errors import MalformedFrame
from sync.protocol.fragments import (
    CHUNK_BYTES,
    MAX_PARTIAL_BYTES,
    MAX_RECORD_BYTES,
    Reassembly,
    chunk,
    chunk_count,
    transfer_name,
)
from sync.protocol.items import Chunks


def pieces(blob: bytes) -> list[Chunks]:
    name = transfer_name(blob)
    return [Chunks(name, len(blob), index, chunk(blob, index)) for index in range(chunk_count(len(blob)))]


@given(size=st.integers(1, 3000), seed=st.integers(0, 1000))
def test_chunks_in_any_order_and_more_than_once_make_the_whole(size: int, seed: int) -> None:
    rng = random.Random(seed)
    blob = rng.randbytes(size)
    coming = pieces(blob) * 2
    rng.shuffle(coming)
    reassembly, came = Reassembly(), None
    for each in coming:
        came = came or reassembly.add(each)
    assert came == blob


def test_the_receiver_says_exactly_which_chunks_are_missing() -> None:
    blob = bytes(range(256)) * 8
    reassembly, coming = Reassembly(), pieces(blob)
    for index in (0, 1, 4, 9):
        reassembly.add(coming[index])
    told = reassembly.received(coming[0].transfer)
    assert told is not None
    assert [index for index in range(len(coming)) if told.has(index)] == [0, 1, 4, 9]


@pytest.mark.parametrize(
    "bad",
    [
        Chunks(b"abcd", 0, 0, b"x"),
        Chunks(b"abcd", MAX_RECORD_BYTES + 1, 0, b"x" * CHUNK_BYTES),
        Chunks(b"abcd", 500, 99, b"x" * CHUNK_BYTES),
        Chunks(b"abcd", 500, 0, b"x" * 3),
        Chunks(b"abcd", 100, 0, b"x" * 400),
        Chunks(b"abcd", 100, 0, b""),
    ],
)
def test_chunks_that_fit_no_transfer_are_refused(bad: Chunks) -> None:
    with pytest.raises(MalformedFrame):
        Reassembly().add(bad)


def test_what_does_not_add_up_to_its_name_is_thrown_away_and_may_come_again() -> None:
    blob = b"a" * 200
    reassembly, coming = Reassembly(), pieces(blob)
    *first, last = [Chunks(each.transfer, each.total_bytes, each.first, b"b" * len(each.data)) for each in coming]
    for each in first:
        assert reassembly.add(each) is None
    with pytest.raises(MalformedFrame):
        reassembly.add(last)
    assert [reassembly.add(each) for each in coming][-1] == blob


def test_a_peer_that_begins_transfers_and_never_ends_them_fills_no_memory() -> None:
    reassembly = Reassembly()
    for number in range(200):
        data = bytes((number,)) * (CHUNK_BYTES * 500)
        reassembly.add(Chunks(number.to_bytes(4, "big"), MAX_RECORD_BYTES, 0, data))
        assert reassembly._held_bytes <= MAX_PARTIAL_BYTES
    assert len(reassembly._partials) <= 64
