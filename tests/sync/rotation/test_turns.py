"""How long a silent core is tried under one pair of keys before it is tried under the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.turns import Turn


def turn(**more: float) -> Turn:
    return Turn(1000.0, radio_s=600.0, quick_s=60.0, hint_after_s=10.0, **more)  # type: ignore[arg-type]  # floats only


def test_by_radio_a_turn_is_long_and_by_a_connection_short() -> None:
    one = turn()
    assert not one.is_over(1599.0)
    assert one.is_over(1600.0)
    one.quick = True
    assert not one.is_over(1059.0)
    assert one.is_over(1060.0)


def test_a_core_that_answers_begins_it_anew() -> None:
    one = turn()
    one.heard_at = 1500.0
    assert not one.is_over(2099.0)
    assert one.is_over(2100.0)


@given(at_s=st.floats(0.0, 30.0))
def test_a_frame_for_the_other_pair_ends_it_unless_it_may_have_been_on_its_way(at_s: float) -> None:
    one = turn()
    one.overheard(1000.0 + at_s)
    assert one.is_over(1000.0 + at_s) is (at_s >= 10.0)
