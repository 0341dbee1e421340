from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from village_apps.portal.names import LONGEST_NAME, tidy_name
from village_apps.portal.sign_in import MISSES, MISSES_OF_ALL, SESSION_S, WAIT_S, SignIns, why_not_this_password


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Amina", "Amina"),
        ("  Mama   Wanjiru \n", "Mama Wanjiru"),
        ("محمد", "محمد"),
        ("सीता", "सीता"),
        ("O'Brien-Njoroge", "O'Brien-Njoroge"),
        ("A\x00b\u202e", "A b"),
        ("", None),
        ("   ", None),
        ("...", None),
        ("12", None),
    ],
)
def test_a_name_is_kept_as_it_is_written(written: str, kept: str | None) -> None:
    assert tidy_name(written) == kept


@given(written=st.text())
def test_a_name_is_short_printable_and_tidy(written: str) -> None:
    name = tidy_name(written)
    if name is not None:
        assert 0 < len(name) <= LONGEST_NAME
        assert tidy_name(name) == name
        assert not any(character in "\n\r\t\x00\u202e" for character in name)


def test_a_session_ends_by_itself() -> None:
    sign_ins = SignIns()
    token = sign_ins.begin(0.0, must_change=False)
    assert sign_ins.holds(token, SESSION_S - 1)
    assert not sign_ins.holds(token, SESSION_S + 1)
    assert not sign_ins.holds("", 0.0)


def test_a_one_time_password_opens_nothing_but_its_change() -> None:
    sign_ins = SignIns()
    assert sign_ins.must_change(sign_ins.begin(0.0, must_change=True))
    assert not sign_ins.must_change(sign_ins.begin(0.0, must_change=False))


def test_guessing_is_slowed_down_per_address_and_then_forgiven() -> None:
    sign_ins = SignIns()
    for _ in range(MISSES):
        assert sign_ins.may_try("10.0.0.7", 0.0)
        sign_ins.missed("10.0.0.7", 0.0)
    assert not sign_ins.may_try("10.0.0.7", 1.0)
    assert sign_ins.may_try("10.0.0.8", 1.0)
    assert sign_ins.may_try("10.0.0.7", WAIT_S + 1)


def test_a_guesser_who_changes_addresses_is_slowed_down_too() -> None:
    sign_ins = SignIns()
    for number in range(MISSES_OF_ALL):
        sign_ins.missed(f"10.0.0.{number}", 0.0)
    assert not sign_ins.may_try("10.0.1.1", 0.0)


def test_a_new_password_is_long_and_typed_twice() -> None:
    assert why_not_this_password("short", "short") == "short"
    assert why_not_this_password("x" * 201, "x" * 201) == "long"
    assert why_not_this_password("long enough", "long enouhg") == "different"
    assert why_not_this_password("long enough", "long enough") is None
