from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.errors import MalformedFrame
from sync.protocol.fragments import MAX_PARTIAL_BYTES, MAX_RECORD_BYTES, Reassembly, transfer_name
from sync.protocol.items import Piece, decode_items, encode_piece, encode_received

CUT = 70


def piece(blob: bytes, start: int, end: int) -> Piece:
    return Piece(transfer_name(blob), 0 if start else len(blob), start, blob[start:end])


def pieces(blob: bytes) -> list[Piece]:
    return [piece(blob, start, min(start + CUT, len(blob))) for start in range(0, len(blob), CUT)]


@given(size=st.integers(1, 3000), seed=st.integers(0, 1000))
def test_pieces_in_any_order_and_more_than_once_make_the_whole(size: int, seed: int) -> None:
    rng = random.Random(seed)
    blob = rng.randbytes(size)
    coming = pieces(blob) * 2
    rng.shuffle(coming)
    reassembly, came = Reassembly(), None
    for each in coming:
        came = came or reassembly.add(each)
    assert came == blob


@given(cuts=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 300)), max_size=40))
def test_pieces_of_any_size_that_overlap_make_the_whole_once_nothing_is_missing(cuts: list[tuple[int, int]]) -> None:
    blob = random.Random(5).randbytes(1000)
    reassembly, came, have = Reassembly(), None, set[int]()
    for start, size in [*cuts, *((at, 100) for at in range(0, 1000, 100))]:
        came = came or reassembly.add(piece(blob, start, min(start + size, 1000)))
        have |= set(range(start, min(start + size, 1000)))
        assert (came is not None) == (len(have) == 1000)
    assert came == blob


def test_the_receiver_says_exactly_what_has_come() -> None:
    blob = bytes(range(256)) * 8
    reassembly, coming = Reassembly(), pieces(blob)
    for index in (0, 1, 4, 9):
        reassembly.add(coming[index])
    told = reassembly.received(coming[0].transfer)
    assert told is not None
    assert list(told.ranges) == [(0, 140), (280, 350), (630, 700)]
    (read,) = decode_items(encode_received(told), sender="k")
    assert list(read.ranges) == list(told.ranges)  # type: ignore[union-attr]


def test_the_last_piece_of_a_frame_spells_no_length() -> None:
    first, second = piece(b"a" * 300, 0, 100), piece(b"a" * 300, 100, 200)
    plain = encode_piece(first) + encode_piece(second, to_the_end=True)
    assert decode_items(plain, sender="k") == [first, second]


@pytest.mark.parametrize(
    "bad",
    [
        Piece(b"abcd", 0, 0, b"x"),
        Piece(b"abcd", MAX_RECORD_BYTES + 1, 0, b"x" * CUT),
        Piece(b"abcd", 0, MAX_RECORD_BYTES, b"x" * CUT),
        Piece(b"abcd", 100, 0, b"x" * 400),
        Piece(b"abcd", 100, 0, b""),
    ],
)
def test_pieces_that_fit_no_transfer_are_refused(bad: Piece) -> None:
    with pytest.raises(MalformedFrame):
        Reassembly().add(bad)


def test_what_does_not_add_up_to_its_name_is_thrown_away_and_may_come_again() -> None:
    blob = b"a" * 200
    reassembly, coming = Reassembly(), pieces(blob)
    *first, last = [Piece(each.transfer, each.total_bytes, each.first, b"b" * len(each.data)) for each in coming]
    for each in first:
        assert reassembly.add(each) is None
    with pytest.raises(MalformedFrame):
        reassembly.add(last)
    assert [reassembly.add(each) for each in coming][-1] == blob


def test_a_peer_that_begins_transfers_and_never_ends_them_fills_no_memory() -> None:
    reassembly = Reassembly()
    for number in range(200):
        data = bytes((number,)) * 40_000
        reassembly.add(Piece(number.to_bytes(4, "big"), MAX_RECORD_BYTES, 0, data))
        assert reassembly._held_bytes <= MAX_PARTIAL_BYTES
    assert len(reassembly._partials) <= 64
