from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol import keys
from sync.protocol.enrolment import Hello, Invite, curve_keys_from_token, make_hello, proof_is_right
from sync.protocol.errors import ForeignFrame, InviteError, RemoteSyncError
from sync.protocol.frames import LORA_FRAME_BYTES

RNG = random.Random(4)
KIT, CORE, OTHER = (RNG.randbytes(32) for _ in range(3))
INVITE = Invite(
    core="core-abcd1234",
    core_public=keys.public_of(CORE),
    link_id=7,
    token=RNG.randbytes(16),
    expires_ms=1_790_000_000_000,
    name="Orchard village",
    address="tcp://core.example:7450",
    curve_public=RNG.randbytes(32),
)


def hello(name: str = "Orchard village", private: bytes = KIT, invite: Invite = INVITE) -> Hello:
    return make_hello(
        invite,
        unit="kit-7gq2mzk4",
        exchange_private=private,
        exchange_public=keys.public_of(private),
        curve_public=bytes(32),
        name=name,
    )


def test_an_invite_survives_being_pasted_in_lower_case_with_line_breaks() -> None:
    text = INVITE.encode().lower()
    assert Invite.decode(f"  {text[:60]}\n{text[60:120]} {text[120:]}\n") == INVITE


@given(at=st.integers(4, 200), letter=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_an_invite_with_one_letter_wrong_is_noticed(at: int, letter: str) -> None:
    text = INVITE.encode()
    if text[at] != letter:
        with pytest.raises(InviteError):
            Invite.decode(text[:at] + letter + text[at + 1 :])


@given(length=st.integers(0, 242))
def test_an_invite_that_was_cut_short_says_so(length: int) -> None:
    with pytest.raises(InviteError, match=r"cut short|begins with|letter"):
        Invite.decode(INVITE.encode()[:length])


def test_an_invite_with_a_letter_too_many_or_none_at_all_is_noticed() -> None:
    for text in (INVITE.encode() + "A", INVITE.encode() + "AAAAAAAA", "", "hello"):
        with pytest.raises(InviteError):
            Invite.decode(text)
    with pytest.raises(InviteError, match="0"):
        Invite.decode(INVITE.encode()[:30] + "0" + INVITE.encode()[31:])


def test_a_hello_with_the_longest_name_still_is_one_lora_frame() -> None:
    frame = hello("é" * 200).encode()
    assert len(frame) <= LORA_FRAME_BYTES
    assert Hello.decode(frame).name == "é" * 30


def test_only_who_holds_the_token_and_its_own_key_proves_it() -> None:
    told = Hello.decode(hello().encode())
    assert proof_is_right(told, token=INVITE.token, exchange_private=CORE)
    assert not proof_is_right(told, token=bytes(16), exchange_private=CORE)
    assert not proof_is_right(told, token=INVITE.token, exchange_private=OTHER)
    stolen = Hello(**(vars(told) | {"exchange_public": keys.public_of(OTHER)}))
    assert not proof_is_right(stolen, token=INVITE.token, exchange_private=CORE)
    nothing = Hello(**(vars(told) | {"exchange_public": bytes(32)}))
    assert not proof_is_right(nothing, token=INVITE.token, exchange_private=CORE)


@given(noise=st.binary(max_size=220))
def test_noise_is_no_hello(noise: bytes) -> None:
    for frame in (noise, hello().encode()[:3] + noise):
        with contextlib.suppress(RemoteSyncError):
            assert not proof_is_right(Hello.decode(frame), token=INVITE.token, exchange_private=CORE)


def test_a_sealed_frame_is_no_hello() -> None:
    with pytest.raises(ForeignFrame):
        Hello.decode(bytes((0x52, 0, 7)) + bytes(40))


def test_the_keys_for_knocking_are_a_curve_pair_that_zeromq_accepts() -> None:
    import zmq
    from zmq.utils import z85

    pair = curve_keys_from_token(INVITE.token)
    assert pair == curve_keys_from_token(INVITE.token) != curve_keys_from_token(bytes(16))
    assert zmq.curve_public(z85.encode(pair.secret)) == z85.encode(pair.public)
