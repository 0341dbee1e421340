"""Messages, packed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.model.letters import Letter, LetterError, letter_body, letter_from_body, make_letter
from sync.packing.errors import PackingError
from sync.packing.text import MAX_TEXT, pack_text, unpack_text

MESSAGES = {
    "en": "Frost is expected tonight, please cover the young trees in the orchard and light the heaters at 3:00. "
    "Amina will bring more straw at six.",
    "fr": "Le pont est coupé par la rivière, prenez la route du nord. Il faut deux couvertures et des médicaments pour "
    "l'enfant de Fatou, merci!",
    "sw": "Baridi kali inatarajiwa usiku huu. Funika miche yako kwa majani na uwashe moto mdogo saa tisa usiku. Amina "
    "ataleta maji kesho asubuhi.",
    "ar": "من المتوقع حدوث صقيع الليلة، يرجى تغطية الأشجار الصغيرة في البستان قبل الساعة الثالثة صباحا. سوف تحضر أمينة",
    "ne": "आज राति तुसारो पर्ने सम्भावना छ। कृपया साना बिरुवाहरू छोप्नुहोस् र बिहान तीन बजे आगो बाल्नुहोस्।",
}


@pytest.mark.parametrize("language", sorted(MESSAGES))
def test_a_message_takes_less_than_five_bits_a_letter(language: str) -> None:
    text = MESSAGES[language]
    packed = pack_text(text)
    assert unpack_text(packed) == text
    assert len(packed) * 8 <= 5 * len(text)


@settings(deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet="aA eÉ.\n0?ßİıǅ", max_size=40))
def test_every_text_comes_back_and_is_hardly_longer(text: str) -> None:
    packed = pack_text(text)
    assert unpack_text(packed) == text
    assert len(packed) <= len(text.encode()) + 3


@settings(deadline=None)
@given(packed=st.binary(max_size=40))
def test_any_bytes_are_a_text_or_a_packing_error(packed: bytes) -> None:
    with contextlib.suppress(PackingError):
        unpack_text(packed).encode("utf-8")


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(PackingError, match="at most"):
        pack_text("a" * (4 * MAX_TEXT + 1))


def test_the_packed_form_of_a_text_is_the_one_that_other_versions_read() -> None:
    assert pack_text("Water at the school is clean again.").hex() == PINNED


PINNED = "1aa82687bbdb249084023d95a7577830"


@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=120), author=st.text(max_size=30))
def test_a_letter_comes_back(text: str, author: str) -> None:
    try:
        letter = make_letter(text, author)
    except LetterError:
        return
    assert letter_from_body(letter_body(letter)) == letter


@settings(deadline=None)
@given(body=st.binary(max_size=40))
def test_any_body_is_a_letter_or_a_letter_error(body: bytes) -> None:
    with contextlib.suppress(LetterError):
        letter_from_body(b"\x02" + body)


def test_a_letter_of_the_first_form_is_still_read() -> None:
    body = bytes.fromhex("8301624869644a756d61")
    assert letter_from_body(body) == Letter(text="Hi", author="Juma")
