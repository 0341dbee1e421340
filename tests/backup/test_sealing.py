"""The recovery code and the encryption of backups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.backup.recovery_code import ALPHABET, RecoveryCodeError, decode_code, encode_code
from kit.backup.sealing import CHUNK_BYTES, TAG_BYTES, SealError, seal, unseal

KEY, HEAD = b"k" * 32, b"head"


@given(st.binary(min_size=16, max_size=16))
def test_a_code_copied_from_paper_is_the_secret_again(secret: bytes) -> None:
    code = encode_code(secret)
    assert decode_code(code) == secret
    assert decode_code(f" {code.upper().replace('-', ' ').replace('0', 'O').replace('1', 'I')} ") == secret


@given(st.binary(min_size=16, max_size=16), st.integers(0, 27), st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_noticed_nearly_always_and_never_gives_a_wrong_length(
    secret: bytes, at: int, letter: str
) -> None:
    symbols = list(encode_code(secret).replace("-", ""))
    symbols[at] = letter
    try:
        assert len(decode_code("".join(symbols))) == 16
    except RecoveryCodeError as error:
        assert "mistyped" in str(error)  # noqa: PT017 - either is right: one slip in a thousand has the same check


@pytest.mark.parametrize(("text", "sentence"), [("abc", "this has 3"), ("*" * 28, "'*' occurs in no")])
def test_what_is_no_code_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(RecoveryCodeError, match=sentence.replace("*", r"\*")):
        decode_code(text)


@given(st.integers(-2, 2), st.integers(0, 3), st.integers(1, 100_000))
def test_whatever_the_pieces_what_was_sealed_comes_back(extra: int, chunks: int, piece: int) -> None:
    plain = bytes(n % 251 for n in range(max(0, chunks * CHUNK_BYTES + extra)))
    sealed = b"".join(seal([plain[:7], plain[7:]], key=KEY, head=HEAD))
    pieces = [sealed[at : at + piece] for at in range(0, len(sealed), piece)]
    assert b"".join(unseal(pieces, key=KEY, head=HEAD)) == plain


def test_a_change_a_swap_a_cut_another_head_and_another_key_are_all_noticed() -> None:
    plain = bytes(3 * CHUNK_BYTES)
    sealed = b"".join(seal([plain], key=KEY, head=HEAD))
    whole = CHUNK_BYTES + TAG_BYTES
    changed = sealed[:5] + bytes([sealed[5] ^ 1]) + sealed[6:]
    swapped = sealed[whole : 2 * whole] + sealed[:whole] + sealed[2 * whole :]
    for bad in (changed, swapped, sealed[:whole], sealed[: 2 * whole], sealed[:-1], sealed + b"x", b""):
        with pytest.raises(SealError):
            list(unseal([bad], key=KEY, head=HEAD))
    with pytest.raises(SealError):
        list(unseal([sealed], key=KEY, head=b"other"))
    with pytest.raises(SealError):
        list(unseal([sealed], key=b"x" * 32, head=HEAD))
