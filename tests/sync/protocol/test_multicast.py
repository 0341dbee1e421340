"""What the core says to many kits: any K of the packets make it, and nothing else does."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.protocol import fountain, raptorq_code
from sync.protocol.broadcast import Broadcast
from sync.protocol.errors import ForeignFrame, ForgedFrame, RemoteSyncError
from sync.protocol.frames import LORA_FRAME_BYTES, FrameType, frame_type
from sync.protocol.multicast import (
    EVERYBODY,
    MAX_GATHERED_BYTES,
    MAX_OBJECT_BYTES,
    Gathering,
    frames_of,
    make_object,
    object_id,
    symbol_bytes_for,
)
from sync.protocol.records import Priority, Record, RecordId

CORE_PUBLIC = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
PUBLIC = KEY.public_key().public_bytes_raw()


def a_record(body: bytes, *, seq: int = 3, **more: Any) -> Record:
    told = {"kind": "alert", "priority": Priority.DISTRESS, "created_ms": 1_790_000_000_000, "lifetime_s": 3600}
    return Record(id=RecordId("core-city", 5, seq), addressee=EVERYBODY, body=body, **(told | more))  # type: ignore[arg-type]


def an_object(record: Record, link_ids: tuple[int, ...] = (), key: Ed25519PrivateKey = KEY) -> bytes:
    return make_object(record, link_ids=link_ids, core_public=CORE_PUBLIC, sign=key.sign)


def a_kit(link_id: int = 7) -> Gathering:
    return Gathering(core="core-city", core_public=CORE_PUBLIC, link_id=link_id)


def hear(kit: Gathering, frames: list[bytes]) -> list[Record]:
    """The records that these frames make whole; what is refused is passed over, as an engine does."""
    made = []
    for frame in frames:
        try:
            record, again = kit.take(frame, signing_public=PUBLIC)
        except RemoteSyncError:
            continue
        if record is not None and not again:
            made.append(record)
    return made


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 4000), loss=st.floats(0.0, 0.6), seed=st.integers(0, 2**32), twice=st.booleans())
def test_any_k_of_the_packets_make_the_record_and_a_little_more_always_do(
    size: int, loss: float, seed: int, twice: bool
) -> None:
    rng = random.Random(seed)
    record = a_record(rng.randbytes(size))
    told = an_object(record)
    needed = fountain.source_symbols(len(told), symbol_bytes_for(len(told)))
    frames = frames_of(told, core_public=CORE_PUBLIC, repair=3 * needed + 8)
    heard = [each for each in frames if rng.random() >= loss]
    rng.shuffle(heard)
    heard = heard[: needed + 2]
    made = hear(a_kit(), [each for each in heard for _ in range(1 + twice)])
    assert made == ([record] if len(heard) >= needed + 2 else made)
    assert all(each == record for each in made)


def test_exactly_k_packets_are_nearly_always_enough() -> None:
    rng, enough = random.Random(1), 0
    for number in range(60):
        told = an_object(a_record(rng.randbytes(1500), seq=number + 1))
        needed = fountain.source_symbols(len(told), symbol_bytes_for(len(told)))
        frames = frames_of(told, core_public=CORE_PUBLIC, repair=needed)
        enough += len(hear(a_kit(), rng.sample(frames, needed)))
    assert enough >= 58


@pytest.mark.parametrize("size", [0, 1, 100, 200, 1000, 262_144])
def test_a_frame_of_a_broadcast_fits_the_radio_and_is_no_longer_than_it_must_be(size: int) -> None:
    told = an_object(a_record(random.Random(size).randbytes(size), priority=Priority.BULK, kind="file"))
    frames = frames_of(told, core_public=CORE_PUBLIC, repair=2)
    assert {frame_type(each) for each in frames} == {FrameType.MULTICAST}
    assert max(map(len, frames)) <= LORA_FRAME_BYTES
    assert len(frames) - 2 == -(-len(told) // 200)
    assert sum(map(len, frames[:-2])) < len(told) + (len(frames) - 2) * 22


def test_only_the_core_s_own_signature_is_believed_and_a_spoilt_set_begins_anew() -> None:
    record = a_record(random.Random(4).randbytes(500))
    told = an_object(record)
    frames = frames_of(told, core_public=CORE_PUBLIC, repair=8)
    kit = a_kit()
    forged = frames[0][:14] + bytes(len(frames[0]) - 14)
    assert hear(kit, [forged, *frames[1:4]]) == []
    assert hear(kit, frames[4:]) == [record]
    thief = an_object(record, key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
    *first, last = frames_of(thief, core_public=CORE_PUBLIC, repair=0)
    assert hear(kit, first) == []
    with pytest.raises(ForgedFrame):
        kit.take(last, signing_public=PUBLIC)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**24 - 1), st.binary(min_size=1, max_size=8)), max_size=12)
)
def test_forged_symbols_make_nothing_but_delay(forged: list[tuple[int, int, bytes]]) -> None:
    record = a_record(random.Random(5).randbytes(450))
    told = an_object(record)
    frames = frames_of(told, core_public=CORE_PUBLIC, repair=40)
    symbol = len(frames[0]) - 14
    kit = a_kit()
    false = [
        frames[0][:10] + bytes((block,)) + number.to_bytes(3, "big") + (word * symbol)[:symbol]
        for block, number, word in forged
    ]
    assert hear(kit, false) == []
    made = hear(kit, frames)
    assert made == [record]


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(0, 2**24 - 1),
    packet=st.binary(max_size=206),
    name=st.binary(min_size=4, max_size=4),
)
def test_hostile_lengths_and_packets_change_nothing(size: int, packet: bytes, name: bytes) -> None:
    frame = frames_of(an_object(a_record(b"x")), core_public=CORE_PUBLIC, repair=0)[0][:3]
    kit = a_kit()
    try:
        assert kit.take(frame + name + size.to_bytes(3, "big") + packet, signing_public=PUBLIC) == (None, False)
    except RemoteSyncError:
        assert kit.held_bytes == 0


def test_what_strangers_send_is_held_within_bounds() -> None:
    rng, kit = random.Random(2), a_kit()
    head = frames_of(an_object(a_record(b"x")), core_public=CORE_PUBLIC, repair=0)[0][:3]
    size = MAX_OBJECT_BYTES
    symbol = symbol_bytes_for(size)
    for number in range(12_000):
        name = rng.choice([b"aaaa", b"bbbb", b"cccc", b"dddd", b"eeee", b"ffff", b"gggg", b"hhhh", b"iiii"])
        frame = head + name + size.to_bytes(3, "big") + number.to_bytes(4, "big") + rng.randbytes(symbol)
        if number % 20 == 0:
            hear(kit, [frame])
            assert kit.held_bytes <= MAX_GATHERED_BYTES


def test_a_kit_that_is_not_meant_takes_nothing_and_another_core_s_is_foreign() -> None:
    record = a_record(b"for the orchard")
    frames = frames_of(an_object(record, link_ids=(7, 9)), core_public=CORE_PUBLIC, repair=1)
    assert hear(a_kit(7), frames) == [record]
    assert hear(a_kit(8), frames) == []
    with pytest.raises(ForeignFrame):
        Gathering(core="core-x", core_public=bytes(32), link_id=7).take(frames[0], signing_public=PUBLIC)
    with pytest.raises(ForeignFrame):
        a_kit().take(frames[0], signing_public=None)


@pytest.mark.parametrize("size", [0, 1, 130, 900, 2000, 7000])
def test_without_the_library_the_same_packets_are_made_and_understood(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    rng = random.Random(size)
    record = a_record(rng.randbytes(size))
    told = an_object(record)
    frames = frames_of(told, core_public=CORE_PUBLIC, repair=12)
    with monkeypatch.context() as here:
        here.setitem(sys.modules, "raptorq", None)
        assert not fountain.has_library()
        assert frames_of(told, core_public=CORE_PUBLIC, repair=12) == frames
        some = rng.sample(frames, len(frames) - 10)
        assert hear(a_kit(), some) == [record]
        assert hear(a_kit(), frames[::-1]) == [record]
    assert fountain.has_library()
    assert hear(a_kit(), some) == [record]


@settings(max_examples=40, deadline=None)
@given(source=st.integers(1, 90), symbol_bytes=st.sampled_from([8, 64, 200]), seed=st.integers(0, 2**32))
def test_the_code_in_python_is_the_library_s_to_the_bit(source: int, symbol_bytes: int, seed: int) -> None:
    rng = random.Random(seed)
    made = fountain.packets(rng.randbytes(source * symbol_bytes), symbol_bytes=symbol_bytes, repair=source + 4)
    symbols = {int.from_bytes(each[:4], "big"): each[4:] for each in made}
    picked = {number: symbols[number] for number in rng.sample(sorted(symbols), source + 2)}
    between = raptorq_code.intermediate(source, picked, symbol_bytes)
    assert between is not None
    assert all(raptorq_code.symbol(source, between, number) == told for number, told in symbols.items())


def test_too_few_symbols_determine_nothing() -> None:
    made = fountain.packets(random.Random(1).randbytes(2000), symbol_bytes=200, repair=10)
    few = {int.from_bytes(each[:4], "big"): each[4:] for each in made[3:12]}
    assert raptorq_code.intermediate(10, few, 200) is None


def test_a_broadcast_goes_in_rounds_and_ends_when_everybody_has_it_or_enough_was_said() -> None:
    told = an_object(a_record(random.Random(6).randbytes(600)))
    going = Broadcast(a_record(random.Random(6).randbytes(600)), told, core_public=CORE_PUBLIC)
    going.units = ("kit-a", "kit-b")
    now, gaps, seen = 0.0, 0, set()
    while not going.over:
        frame = going.next_frame(now)
        if frame is None:
            gaps += 1
            now = going.due_at()
            continue
        seen.add(frame)
        going.note_sent(now, frame_s=2.0, loss=0.3)
        now += 2.0
    assert len(seen) == going.sent == going.most  # no packet goes twice
    assert gaps >= 3
    assert going.next_frame(now) is None
    later = Broadcast(a_record(random.Random(6).randbytes(600)), told, core_public=CORE_PUBLIC, sent=5)
    later.units = ("kit-a",)
    assert later.next_frame(0.0) == frames_of(told, core_public=CORE_PUBLIC, repair=9)[5]
    later.units = ()
    assert later.next_frame(0.0) is None


def test_objects_are_named_by_their_hash() -> None:
    told = an_object(a_record(b"z"))
    assert frames_of(told, core_public=CORE_PUBLIC, repair=0)[0][3:7] == object_id(told)
