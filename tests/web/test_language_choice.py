from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from village_apps.web.language import choose_language, wished_languages

OFFERED = ("en", "sw", "ar")


def choose(argument: str | None = None, cookie: str | None = None, header: str | None = None) -> str:
    return choose_language(OFFERED, argument=argument, cookie=cookie, accept_language=header)


def test_the_readers_own_choice_goes_before_the_phones() -> None:
    assert choose(argument="sw", cookie="ar", header="en") == "sw"
    assert choose(cookie="ar", header="en") == "ar"


def test_the_phones_wishes_are_taken_in_their_order() -> None:
    assert choose(header="fr-FR,fr;q=0.9,sw;q=0.8,en;q=0.7") == "sw"
    assert choose(header="en;q=0.2, ar;q=0.9") == "ar"


def test_a_regional_variant_counts_as_its_language() -> None:
    assert choose(header="sw-KE") == "sw"


def test_an_unknown_wish_gets_the_villages_usual_language() -> None:
    assert choose(argument="xx", cookie="<script>", header="zz") == "en"
    assert choose() == "en"


def test_a_language_with_weight_zero_is_not_wanted() -> None:
    assert wished_languages("sw;q=0, ar;q=nonsense, en;q=0.1") == ["en"]


@given(header=st.text(max_size=200))
def test_whatever_a_phone_sends_some_language_is_chosen(header: str) -> None:
    assert choose(header=header) in OFFERED
