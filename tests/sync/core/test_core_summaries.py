"""Summaries at the core: beside the readings, never among them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kit.model.batch import encode_batch
from kit.model.readings import Quality, Reading
from kit.model.summary import HOUR_MS, encode_summary, summarise
from sync.core.page import make_app
from sync.core.store import Fidelity
from sync.core.view import kit_json, kit_states

KIND = ("temperature", "Cel")
QUARTER_MS = HOUR_MS // 4


def first_ms(city: Any) -> int:
    """Three hours ago, at the hour."""
    return int(city.now_ms // HOUR_MS * HOUR_MS - 3 * HOUR_MS)


def readings_of(city: Any, kit: Any, hours: int = 3, **more: Any) -> Any:
    rows = [
        Reading(
            device="field",
            quantity="temperature",
            unit="Cel",
            time_ms=first_ms(city) + at * QUARTER_MS,
            value=at / 2,
            **more,
        )
        for at in range(4 * hours)
    ]
    return kit.record("readings", encode_batch(rows))


def summary_of(city: Any, kit: Any, hours: int = 3, *, values: tuple[float, ...] = (2.0, 3.0, 2.5, 2.5)) -> Any:
    told = [summarise("field", KIND, first_ms(city) + at * HOUR_MS, values) for at in range(hours)]
    return kit.record("summary", encode_summary(told), priority=3)


def day(city: Any, kit: Any) -> tuple[int, int, Fidelity]:
    rows = city.store.days(kit.unit, now_ms=city.now_ms)
    return sum(row.readings for row in rows), sum(row.told for row in rows), rows[0].fidelity


def test_a_summary_is_no_reading(city: Any) -> None:
    kit = city.joined()
    city.take(summary_of(city, kit))
    assert day(city, kit) == (0, 12, Fidelity.SUMMARY)
    assert city.store.series(kit.unit) == []
    (hour,) = city.store.hours(kit.unit)
    assert (hour.mean, hour.low, hour.high, hour.count) == (2.5, 2.0, 3.0, 4)


def test_the_readings_fill_in_behind_and_are_counted_once(city: Any) -> None:
    kit = city.joined()
    city.take(summary_of(city, kit))
    city.take(readings_of(city, kit, hours=1))
    assert day(city, kit) == (4, 12, Fidelity.PARTLY)
    city.take(readings_of(city, kit))
    city.take(readings_of(city, kit))
    assert day(city, kit) == (12, 12, Fidelity.RAW)
    assert city.store.series(kit.unit)[0].count == 12
    assert city.store.hours(kit.unit) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_in_which_they_come_changes_nothing(city: Any, order: tuple[int, ...]) -> None:
    kit = city.joined()
    records = [summary_of(city, kit, values=(1.0, 2.0)), summary_of(city, kit), readings_of(city, kit, hours=2)]
    for at in order:
        city.take(records[at])
    assert day(city, kit) == (8, 12, Fidelity.PARTLY)


def test_readings_that_nobody_should_use_do_not_fill_an_hour(city: Any) -> None:
    kit = city.joined()
    city.take(summary_of(city, kit), readings_of(city, kit, quality=Quality.IMPOSSIBLE))
    assert day(city, kit) == (12, 12, Fidelity.PARTLY)


def test_a_kit_that_never_summarised_has_all_its_readings(city: Any) -> None:
    kit = city.joined()
    city.take(readings_of(city, kit))
    assert day(city, kit) == (12, 0, Fidelity.RAW)


def test_programs_and_people_see_which_of_the_two_is_here(city: Any) -> None:
    kit = city.joined()
    city.take(summary_of(city, kit))
    (state,) = kit_states(city.store, now_ms=city.now_ms)
    told = kit_json(state, now_ms=city.now_ms)["readings"]
    assert [(each["fidelity"], each["readings"], each["summarised"]) for each in told["days"]] == [("summary", 0, 12)]
    assert told["hours"][0]["mean"] == 2.5
    page = make_app(city.core).test_client().get("/").get_data(as_text=True)
    assert "2.5\u00a0°C (2.0 to 3.0)" in page
    assert "hourly summaries of 12 readings" in page
    city.take(readings_of(city, kit))
    assert "today: all 12 readings" in make_app(city.core).test_client().get("/").get_data(as_text=True)


def test_a_summary_that_makes_no_sense_is_kept_and_named(city: Any) -> None:
    kit = city.joined()
    city.take(kit.record("summary", b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff", priority=3))
    assert city.store.counts().undecodable == 1


def test_a_core_that_held_readings_before_counts_their_hours(city: Any) -> None:
    kit = city.joined()
    city.take(readings_of(city, kit))
    from sync.core.reading_rows import COUNT_EARLIER

    connection = city.store._database.connection
    before = connection.execute("SELECT * FROM core_hours").fetchall()
    with city.store._database.atomic():
        connection.execute("DELETE FROM core_hours")
        connection.execute(COUNT_EARLIER)
    assert [tuple(row) for row in connection.execute("SELECT * FROM core_hours")] == [tuple(row) for row in before]
