"""The list of villages as it travels: small, whole, and harmless whatever a name holds."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.villages import LONGEST_NAME, Village, VillagesError, called, villages_body, villages_from_body

UNITS = st.binary(min_size=5, max_size=5).map(lambda told: f"kit-{base64.b32encode(told).decode().lower()}")


@given(st.dictionaries(UNITS, st.text(min_size=1, max_size=80), max_size=12))
def test_whatever_the_names_are_the_list_comes_back_by_name_and_on_one_line_each(names: dict[str, str]) -> None:
    told = villages_from_body(villages_body(tuple(Village(*each) for each in names.items())))
    assert {each.unit for each in told} == set(names)
    assert [each.name.casefold() for each in told] == sorted(each.name.casefold() for each in told)
    for each in told:
        assert 0 < len(each.name) <= LONGEST_NAME
        assert len(each.name.splitlines()) == 1
        assert not set(each.name) & {"\x1b", "\u202e", "\u2066", "\0"}


def test_a_village_costs_about_eleven_bytes() -> None:
    names = ("Riverside", "Orchard village", "Kijiji cha Mto", "Mlimani", "Upper Meadow", "गाउँ", "قرية النخيل", "Nyeri")
    body = villages_body(tuple(Village(f"kit-{'abcdefgh'[at] * 8}", name) for at, name in enumerate(names)))
    assert len(body) <= 11 * len(names) + 4
    assert {each.name for each in villages_from_body(body)} == set(names)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_list_are_refused_and_nothing_else_happens(body: bytes) -> None:
    for told in (body, b"\x01" + body):
        with contextlib.suppress(VillagesError):
            villages_from_body(told)


def test_a_list_of_a_later_form_and_an_id_that_is_none_are_refused() -> None:
    with pytest.raises(VillagesError, match="knows"):
        villages_from_body(b"\x02")
    with pytest.raises(VillagesError, match="no unit id"):
        villages_body((Village("core-aaaaaaaa", "x"),))


def test_a_village_is_found_by_its_id_or_by_its_name_whatever_the_capitals() -> None:
    villages = (Village("kit-aaaaaaaa", "Mto"), Village("kit-bbbbbbbb", "mto"), Village("kit-cccccccc", "kit-aaaaaaaa"))
    assert called(villages, "KIT-aaaaaaaa") == [villages[0]]
    assert called(villages, "  MTO ") == list(villages[:2])
    assert called(villages, "Nyeri") == []
