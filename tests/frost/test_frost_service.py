from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from kit.clock import AcceleratedClock
from kit.model.alert import Alert, MsgType
from kit.model.forecast import FROST_FACT, NightForecast
from kit.model.messages import Published
from kit.model.readings import Quality
from kit.store.facts import get_fact
from kit.store.records import queue
from village_apps.frost.card import PROBLEM_FACT, make_card, make_status_lines
from village_apps.frost.service import FrostService, record_body
from village_apps.frost.tables import FrostWarning, find_warning, latest_forecast

if TYPE_CHECKING:
    from tests.frost.conftest import Village

DEVICE = "orchard-1"
HOUR_MS = 3_600_000
IDENTIFIER = "frost-kit-trial-2015-04-03"
NEXT_MORNING_H = 19.0


def messages(village: Village) -> list[Alert]:
    """Everything said about frost, the first message first."""
    with village.kit.store() as database:
        return [state.alert for state in reversed(village.alerts(database).list())]


def warning(village: Village) -> FrostWarning | None:
    with village.kit.store() as database:
        return find_warning(database.connection, "2015-04-03")


def fact(village: Village, name: str) -> dict[str, Any]:
    with village.kit.store() as database:
        found = get_fact(database.connection, name)
    return found[1] if found else {}


def forecasts(village: Village) -> list[int]:
    with village.kit.store() as database:
        rows = database.connection.execute("SELECT issued_ms FROM frost_forecasts ORDER BY issued_ms").fetchall()
    return [int(row[0]) for row in rows]


def test_the_night_is_warned_of_in_time_and_ends_with_an_all_clear(village: Village) -> None:
    village.to(NEXT_MORNING_H)
    said = messages(village)
    assert [said[0].msg_type, said[-1].msg_type] == [MsgType.ALERT, MsgType.CANCEL]
    assert said[0].identifier == IDENTIFIER
    midnight_ms = int((village.night.start_s + 9 * 3600) * 1000)  # when the air reached 0 °C
    assert midnight_ms - said[0].sent_ms >= 3 * HOUR_MS
    assert said[0].onset_ms is not None
    assert all(one.incident == IDENTIFIER for one in said)
    assert said[-1].parameters["tmin_observed_c"] == -3.9
    ended = warning(village)
    assert ended is not None
    assert ended.over_ms is not None
    assert ended.over_ms > ended.sunrise_ms
    assert fact(village, FROST_FACT)["warning"] is False


def test_a_forecast_comes_every_hour_and_once_more_two_hours_after_sunset(village: Village) -> None:
    village.to(NEXT_MORNING_H)
    issued = forecasts(village)
    assert len(issued) == 17
    assert max(b - a for a, b in pairwise(issued)) <= HOUR_MS


def test_killed_at_any_look_it_doubles_nothing_and_misses_no_hour(village: Village) -> None:
    # every third look of the quarter hours: at each of the four quarters in turn
    for quarter in [*range(3, int(NEXT_MORNING_H * 4), 3), int(NEXT_MORNING_H * 4)]:
        village.to(quarter / 4)
        village.restart()
        village.look()
    assert len(forecasts(village)) == 17
    kinds = [one.msg_type for one in messages(village)]
    assert kinds.count(MsgType.ALERT) == 1
    assert kinds.count(MsgType.CANCEL) == 1


def test_after_an_hour_without_the_service_it_issues_for_now(village: Village) -> None:
    village.to(4.2)
    village.kit.clock.advance(2.3 * 3600)
    village.publish(village.night.start_s + 4.3 * 3600, village.kit.clock.now(), every_s=900)
    village.restart()
    village.look()
    assert forecasts(village)[-1] == village.kit.now_ms


def test_a_failure_in_the_middle_leaves_neither_a_forecast_nor_a_warning(village: Village) -> None:
    village.to(4.9)
    before = (len(forecasts(village)), len(messages(village)))
    with village.kit.store() as database:
        database.connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'disk full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        village.to(6.5)
    with village.kit.store() as database:
        database.connection.execute("DROP TRIGGER full")
    assert (len(forecasts(village)), len(messages(village))) == before
    village.restart()
    village.to(6.75)
    assert len(messages(village)) > before[1]


def test_every_forecast_is_a_small_record_for_the_city(village: Village) -> None:
    village.to(3)
    with village.kit.store() as database:
        records = [row for row in queue(database.connection, limit=100) if row["kind"] == "forecast"]
    assert len(records) == len(forecasts(village)) == 3
    assert all(row["priority"] == 3 and row["bytes"] < 80 for row in records)
    body = cbor2.loads(record_body(NightForecast.from_fact(fact(village, FROST_FACT))))
    assert body["n"] == "2015-04-03"
    assert body["t"][1] < body["t"][0] < body["t"][2]


def test_a_silent_thermometer_is_named_and_no_forecast_is_pretended(village: Village) -> None:
    village.to(2)
    said = len(forecasts(village))
    village.to(6, reporting=False)
    assert "orchard-1 has been silent for 4 hours" in fact(village, PROBLEM_FACT)["sentence"]
    assert len(forecasts(village)) <= said + 3
    village.to(6.25)
    assert fact(village, PROBLEM_FACT) == {}
    assert forecasts(village)[-1] == village.kit.now_ms


def test_what_a_sensor_kept_while_cut_off_is_learned_when_it_comes_in(village: Village) -> None:
    village.to(2)
    village.to(5.5, reporting=False)
    village.publish(village.night.start_s + 2.25 * 3600, village.kit.clock.now(), every_s=900)
    village.look()
    assert fact(village, PROBLEM_FACT) == {}
    assert forecasts(village)[-1] == village.kit.now_ms


def test_a_warning_whose_all_clear_cannot_be_given_lapses_by_noon(village: Village) -> None:
    village.to(8)
    village.to(23.5, reporting=False)
    assert messages(village)[-1].msg_type is not MsgType.CANCEL
    ended = warning(village)
    assert ended is not None
    assert ended.over_ms is not None


def test_the_card_and_the_status_lines_say_what_the_page_says(village: Village) -> None:
    context = village.kit.context
    assert make_card(context, "en") is None
    village.to(8)
    card = make_card(context, "sw")
    assert card is not None
    assert (card.urgency, card.href) == (0, "/frost/")
    assert "Usiku huu joto linaweza kushuka hadi −" in card.text
    assert "WARNING" in make_status_lines(context)[0].value
    village.to(20)
    assert make_card(context, "en") is None


def test_the_shape_of_the_fall_is_kept_for_the_page(village: Village) -> None:
    village.to(6)
    with village.kit.store() as database:
        kept = latest_forecast(database.connection)
    assert kept is not None
    assert kept.descent[0][1] == 0
    assert kept.descent[-1][1] == 1
    assert [at for at, _ in kept.descent] == sorted(at for at, _ in kept.descent)


def test_the_service_runs_by_itself_on_a_clock_thousands_of_times_as_fast(village: Village) -> None:
    start = village.night.start_s
    village.kit.clock.at_s = start + 6 * 3600
    village.publish(start, start + 6 * 3600, every_s=900)
    fast = AcceleratedClock(start_s=start, started_at_s=time.clock_gettime(time.CLOCK_BOOTTIME), speed=5000.0)
    service = FrostService(replace(village.kit.context, clock=fast))
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        while len(forecasts(village)) < 5 and fast.now() < start + 20 * 3600:
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
    assert len(forecasts(village)) >= 5


def test_a_kit_without_any_thermometer_says_so(village: Village) -> None:
    with village.kit.store() as database, database.atomic() as connection:
        for table in ("readings", "latest_readings", "unsynced", "raw_readings", "series"):
            connection.execute(f"DELETE FROM {table}")
    village.look()
    assert fact(village, PROBLEM_FACT)["sentence"].startswith("No thermometer has reported yet")


def test_where_the_sun_does_not_set_the_page_says_so_in_the_readers_language(village: Village) -> None:
    context = village.kit.context
    tromso = replace(context.settings.unit, latitude=69.65, longitude=18.96, timezone="Europe/Oslo")
    village.kit.clock.at_s = datetime(2015, 6, 21, 12, tzinfo=UTC).timestamp()
    service = FrostService(replace(context, settings=replace(context.settings, unit=tromso)))
    with village.kit.store() as database:
        service.look(database, village.alerts(database))
        card = make_card(context, "sw")
    pupil = village.kit.app.test_client()
    assert "the sun does not rise and set every day around 2015-06-21" in pupil.get("/frost/?lang=en").text
    swahili = "Hapa jua halichomozi na kuzama kila siku karibu na tarehe 2015-06-21"
    assert swahili in pupil.get("/frost/?lang=sw").text
    assert card is not None
    assert swahili in card.text


def flag_the_newest(village: Village, flag: Quality) -> None:
    with village.kit.store() as database, database.atomic() as connection:
        connection.execute(
            "UPDATE latest_readings SET quality = quality | ? "
            "WHERE series = (SELECT id FROM series WHERE quantity = 'temperature' AND device = ?)",
            (int(flag), DEVICE),
        )


def test_a_thermometer_that_speaks_nonsense_is_not_called_silent(village: Village) -> None:
    village.to(6)
    village.to(10, reporting=False)
    with village.kit.store() as database, database.atomic() as connection:
        message = json.dumps([{"n": "temperature", "u": "Cel", "v": 120, "t": village.kit.clock.now()}]).encode()
        village.ingest(
            connection,
            [
                Published(
                    username=DEVICE,
                    client_id=DEVICE,
                    topic=f"sensors/{DEVICE}",
                    payload=message,
                    qos=1,
                    retain=False,
                    duplicate=False,
                    packet_id=1,
                    received_ms=int(village.kit.clock.now() * 1000),
                )
            ],
        )
    village.look()
    assert f"{DEVICE} sends values that cannot be right" in fact(village, PROBLEM_FACT)["sentence"]


def test_a_kit_that_does_not_know_the_time_says_that_and_calls_nobody_silent(village: Village) -> None:
    village.to(6)
    village.kit.clock.trusted = False
    village.to(10, reporting=False)
    assert "does not know what time it is" in fact(village, PROBLEM_FACT)["sentence"]


def test_a_thermometer_whose_readings_have_no_known_time_is_not_called_silent_for_hours(village: Village) -> None:
    village.kit.clock.trusted = False
    reading = json.dumps([{"n": "temperature", "u": "Cel", "v": 4.5}]).encode()
    with village.kit.store() as database, database.atomic() as connection:
        connection.execute("DELETE FROM readings")  # a thermometer that is new
        came_ms = int(village.kit.clock.now() * 1000)
        village.ingest(
            connection, [Published(DEVICE, DEVICE, f"sensors/{DEVICE}", reading, 1, False, False, 1, came_ms)]
        )
    village.kit.clock.trusted = True
    village.look()
    assert "no usable reading of which the time is known" in fact(village, PROBLEM_FACT)["sentence"]


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (Quality.NEIGHBOUR, "The kit goes by its value all the same"),
        (Quality.IMPOSSIBLE, "Its newest value is left out"),
    ],
)
def test_the_pages_that_use_the_thermometer_say_what_is_doubtful_about_it(
    village: Village, flag: Quality, said: str
) -> None:
    village.to(6)
    phone = village.kit.app.test_client()
    pages = ("/frost/", "/agri/?crop=apple&stage=full-bloom")
    for path in pages:
        assert "in doubt" not in phone.get(path).text
    flag_the_newest(village, flag)
    village.kit.clock.advance(61)
    for path in pages:
        page = phone.get(path).text
        assert f"The thermometer {DEVICE} is in doubt" in page
        assert said in page
