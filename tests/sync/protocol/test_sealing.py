from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol import keys
from sync.protocol.errors import ForeignFrame, ForgedFrame, ReplayedFrame
from sync.protocol.frames import LORA_FRAME_BYTES, FrameType
from sync.protocol.sealing import (
    OVERHEAD_BYTES,
    RESERVE,
    SHORT_OVERHEAD_BYTES,
    WINDOW,
    Counters,
    Opener,
    Sealer,
    whole_counter,
)

KIT, CORE = random.Random(1).randbytes(32), random.Random(2).randbytes(32)
BOTH = random.Random(4).randbytes(32)
SHARED = keys.agree(KIT, keys.public_of(CORE))


def up(salt: int = 5) -> Sealer:
    return Sealer(SHARED, kind=FrameType.UP, link_id=7, salt=salt)


def opener(link_id: int = 7, *, salt: int = 6) -> Opener:
    return Opener(keys.agree(CORE, keys.public_of(KIT)), kind=FrameType.UP, link_id=link_id, salt=salt)


def test_both_ends_agree_and_a_full_frame_fits_a_lora_packet() -> None:
    frame = up().seal(b"p" * (LORA_FRAME_BYTES - OVERHEAD_BYTES), counter=9)
    opened = opener().open(frame)
    assert len(frame) == LORA_FRAME_BYTES
    assert (opened.counter, opened.salt, len(opened.plain)) == (9, 5, 187)


@given(bit=st.integers(0, 8 * 60 - 1))
def test_a_frame_with_any_one_bit_wrong_is_not_believed(bit: int) -> None:
    frame = bytearray(up().seal(b"p" * 33, counter=9))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ForgedFrame, ForeignFrame)):
        opener().open(bytes(frame))


def test_a_short_frame_has_five_bytes_of_header_and_eight_of_tag() -> None:
    frame = up().seal_short(b"p" * 201, counter=70_001, peer_salt=6, secret=BOTH, more=True)
    opened = opener().open(frame, peer_salt=5, highest=70_000, secret=BOTH)
    assert len(frame) == LORA_FRAME_BYTES
    assert SHORT_OVERHEAD_BYTES == 13
    assert (opened.counter, opened.plain, opened.more, opened.short) == (70_001, b"p" * 201, True, True)


@given(bit=st.integers(0, 8 * 46 - 1))
def test_a_short_frame_with_any_one_bit_wrong_is_not_believed(bit: int) -> None:
    frame = bytearray(up().seal_short(b"p" * 33, counter=9, peer_salt=6, secret=BOTH))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ForgedFrame, ForeignFrame)):
        opener().open(bytes(frame), peer_salt=5, highest=8, secret=BOTH)


def test_what_was_said_to_an_earlier_life_cannot_be_opened_by_this_one() -> None:
    frame = up().seal_short(b"you have committed 7", counter=9, peer_salt=6, secret=BOTH)
    for late in (opener(salt=8), opener(salt=6)):
        known = 5 if late._salt == 8 else 4
        with pytest.raises(ForgedFrame):
            late.open(frame, peer_salt=known, highest=8, secret=BOTH)
    with pytest.raises(ForgedFrame):  # who has both static keys, and not the ephemeral ones
        opener().open(frame, peer_salt=5, highest=8, secret=bytes(32))
    assert opener().open(frame, peer_salt=5, highest=8, secret=BOTH).plain == b"you have committed 7"
    with pytest.raises(ForgedFrame, match="before any full one"):
        opener().open(frame, highest=8)


@given(highest=st.integers(0, 2**32 - 40_000), ahead=st.integers(-32_766, 32_767))
def test_sixteen_bits_of_a_counter_tell_it_whole(highest: int, ahead: int) -> None:
    counter = max(highest + 1 + ahead, 0)
    assert whole_counter(counter & 0xFFFF, near=highest + 1) == counter


def test_a_frame_of_the_other_direction_or_for_another_kit_is_foreign() -> None:
    with pytest.raises(ForeignFrame):
        opener().open(Sealer(SHARED, kind=FrameType.DOWN, link_id=7, salt=5).seal(b"p", counter=1))
    with pytest.raises(ForeignFrame):
        opener(link_id=8).open(up().seal(b"p", counter=1))
    with pytest.raises(ForeignFrame):
        opener().open(b"")


def test_who_holds_another_key_cannot_make_a_frame() -> None:
    other = keys.agree(random.Random(3).randbytes(32), keys.public_of(CORE))
    with pytest.raises(ForgedFrame):
        opener().open(Sealer(other, kind=FrameType.UP, link_id=7, salt=5).seal(b"p", counter=1))


@given(counters=st.lists(st.integers(1, 3 * WINDOW), max_size=300), restarts=st.sets(st.integers(0, 300)))
def test_no_counter_is_taken_twice_in_whatever_order_and_over_restarts(counters: list[int], restarts: set[int]) -> None:
    taken: set[int] = set()
    window = Counters()
    for index, counter in enumerate(counters):
        if index in restarts:
            window = Counters(window.dump())
        if counter in taken or counter <= window.highest - WINDOW:
            with pytest.raises(ReplayedFrame):
                window.check(counter)
            continue
        window.check(counter)
        window.take(counter)
        taken.add(counter)


@given(lives=st.lists(st.tuples(st.integers(0, 3 * RESERVE), st.booleans()), max_size=12))
def test_counters_never_repeat_however_often_the_power_fails(lives: list[tuple[int, bool]]) -> None:
    disk: bytes | None = None
    used: set[int] = set()
    for frames, dies_before_the_next_save in lives:
        counters = Counters(disk)
        for _ in range(frames):
            counter = counters.next()
            if counters.reserve_unsaved:
                if dies_before_the_next_save and frames % 2:
                    break  # the power fails before the state is on the disk: the frame is never sent
                disk = counters.dump()
                counters.saved()
            assert counter not in used
            used.add(counter)
