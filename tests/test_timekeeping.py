"""What time it is, decided over many boots and steps; pure."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import EARLIEST_BELIEVABLE_S
from kit.timekeeping import Boot, Look, Report, TimeState, begin, hear, place, watch

NOW = EARLIEST_BELIEVABLE_S + 200 * 86_400
DAY = 86_400.0


def _look(wall_s: float, *, up_s: float = 20.0, boot: str = "a", synchronised: bool = False) -> Look:
    return Look(boot=boot, monotonic_s=up_s, wall_s=wall_s, synchronised=synchronised)


def _said(source: str, wall_s: float, *, up_s: float = 20.0, who: str = "x") -> Report:
    return Report(source=source, who=who, wall_s=wall_s, monotonic_s=up_s)


def _shown(state: TimeState, up_s: float) -> float:
    return up_s + state.offset_s


def test_a_kit_that_boots_in_1970_counts_on_from_the_last_time_it_knew() -> None:
    before = replace(begin(_look(NOW), None), shown_s=NOW)
    state = begin(_look(20.0, boot="b"), before)
    assert NOW <= _shown(state, 20.0) <= NOW + 2
    assert (state.source, state.trusted) == ("none", False)


def test_a_kit_that_boots_ten_years_ahead_does_too() -> None:
    before = replace(begin(_look(NOW), None), shown_s=NOW)
    state = begin(_look(NOW + 3653 * DAY, boot="b"), before)
    assert NOW <= _shown(state, 20.0) <= NOW + 2


def test_a_clock_that_steps_back_does_not_turn_the_kits_time_back() -> None:
    state = watch(begin(_look(NOW), None), _look(NOW, synchronised=True))
    later = watch(state, _look(NOW - 5 * DAY, up_s=80.0))
    assert _shown(later, 80.0) == pytest.approx(NOW + 60)
    assert later.trusted
    assert "back" in later.step_why


def test_the_network_makes_the_time_trusted_and_firm() -> None:
    state = watch(begin(_look(NOW - DAY), None), _look(NOW, up_s=60.0, synchronised=True))
    assert (state.trusted, state.firm, state.source) == (True, True, "ntp")
    assert _shown(state, 60.0) == pytest.approx(NOW)


def test_trust_survives_a_restart_of_the_process_and_no_reboot() -> None:
    state = watch(begin(_look(NOW), None), _look(NOW, synchronised=True))
    again = TimeState.from_json(state.as_json())
    assert watch(again, _look(NOW + 5, up_s=25.0)).trusted
    assert not watch(again, _look(NOW + 500, up_s=5.0, boot="b")).trusted


def test_one_phone_is_a_better_guess_and_two_that_agree_are_trusted() -> None:
    state = begin(_look(20.0), None)
    one = hear(state, _said("phone", NOW, who="p1"))
    assert (one.source, one.trusted) == ("phone", False)
    assert _shown(one, 20.0) == pytest.approx(NOW)
    same_phone = hear(one, _said("phone", NOW + 1, up_s=21.0, who="p1"))
    assert not same_phone.trusted
    other = hear(one, _said("phone", NOW + 5 * DAY, who="p2"))
    assert not other.trusted
    two = hear(other, _said("phone", NOW + 40, up_s=50.0, who="p3"))
    assert two.trusted
    assert not two.firm
    assert _shown(two, 50.0) == pytest.approx(NOW + 35, abs=10)


def test_going_back_behind_a_time_that_was_known_takes_three_phones() -> None:
    state = replace(begin(_look(20.0), None), known_s=NOW + 300 * DAY)
    for number, who in enumerate(("p1", "p2", "p3"), start=1):
        assert not state.trusted, number
        state = hear(state, _said("phone", NOW, who=who))
    assert state.trusted


def test_a_weaker_source_does_not_overrule_a_stronger_one_but_is_told() -> None:
    state = hear(begin(_look(20.0), None), _said("gps", NOW))
    after = hear(state, _said("technician", NOW + 3600))
    assert _shown(after, 20.0) == pytest.approx(NOW)
    assert "technician" in after.disagrees


def test_a_technician_corrects_a_technician_and_the_core_corrects_both() -> None:
    state = hear(begin(_look(20.0), None), _said("technician", NOW + 3600))
    state = hear(state, _said("technician", NOW))
    assert _shown(state, 20.0) == pytest.approx(NOW)
    state = hear(state, _said("core", NOW + 90))
    assert _shown(state, 20.0) == pytest.approx(NOW + 90)
    assert state.firm


def test_nobody_convinces_a_kit_of_a_time_before_it_was_made() -> None:
    state = begin(_look(NOW), None)
    told = hear(state, _said("technician", 1_000_000.0))
    assert told.offset_s == state.offset_s
    assert not told.trusted


@given(
    jumps=st.lists(st.tuples(st.floats(1.0, 3600.0), st.floats(-2e9, 2e9)), max_size=12),
    start=st.floats(0.0, NOW + 4000 * DAY),
)
def test_while_nobody_vouches_a_boots_readings_keep_their_order_and_spacing(
    jumps: list[tuple[float, float]], start: float
) -> None:
    """However the machine's clock jumps, all of a boot moves by one amount: never one reading past another."""
    state, up_s, wall_s = begin(_look(start), None), 20.0, start
    for passed, jump in jumps:
        up_s += passed
        wall_s += passed + jump
        state = watch(state, _look(wall_s, up_s=up_s))
        assert not state.trusted
    true = hear(state, _said("core", NOW, up_s=up_s))
    assert _shown(true, up_s) == pytest.approx(NOW)


@given(
    boots=st.lists(
        st.tuples(st.integers(0, 50_000), st.integers(1, 10**9), st.integers(-(10**12), 10**12), st.booleans()),
        min_size=1,
        max_size=8,
    ),
    gaps=st.lists(st.integers(0, 10**9), min_size=9, max_size=9),
)
def test_boots_never_overlap_once_the_last_one_is_known(
    boots: list[tuple[int, int, int, bool]], gaps: list[int]
) -> None:
    line, true_ms = [], 10**12
    for number, (first, length, error, known) in enumerate(boots):
        certain = known or number == len(boots) - 1
        true_ms += gaps[number]
        offset = true_ms - first
        line.append(
            Boot(
                number=number,
                first_ms=first,
                last_ms=first + length,
                offset_ms=offset if certain else offset + error,
                known=certain,
            )
        )
        true_ms += length
    placed = place(line)
    assert not {boot.number for boot in line if boot.known} & placed.keys()
    ends = [
        (b.first_ms + placed.get(b.number, b.offset_ms), b.last_ms + placed.get(b.number, b.offset_ms)) for b in line
    ]
    for (_, end), (start, _) in itertools.pairwise(ends):
        assert end <= start
