"""Everything measured can be looked at and taken away, by people and by programs."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc

import pytest
from flask.testing import FlaskClient

from kit.store.reading_writer import ReadingWriter
from village_apps.data.chart import Hour, draw
from village_apps.web.trial import TrialKit

COUNT = 10 * 24 * 4


@pytest.fixture
def reader(kit: TrialKit) -> FlaskClient:
    return kit.app.test_client()


def rows_of(reader: FlaskClient, query: str) -> list[dict[str, str]]:
    answer = reader.get(f"/api/v1/series/1?format=csv&{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_dictionary_says_what_is_measured_and_what_the_words_mean(reader: FlaskClient) -> None:
    told = reader.get("/api/v1/series").json
    assert told is not None
    (series,) = told["series"]
    assert (series["device"], series["unit"], series["last_value"]) == ("gate/probe 1", "Cel", 12.0)
    assert "degF" in series["converted_from"]
    assert {"flag": "impossible", "left_out": True}.items() <= told["flags"][0].items()
    assert told["retention"]["raw_days"] == 550


def test_every_reading_comes_once_and_in_order_however_many_pages_it_takes(reader: FlaskClient) -> None:
    rows = rows_of(reader, "")
    assert len(rows) == COUNT
    assert [row["time"] for row in rows] == sorted({row["time"] for row in rows})
    assert list(rows[0]) == ["time", "device", "quantity", "unit", "value", "quality"]


def test_hours_and_days_say_that_they_are_means(reader: FlaskClient) -> None:
    hours, days = rows_of(reader, "resolution=hour"), rows_of(reader, "resolution=day")
    assert {row["resolution"] for row in hours} == {"hour"}
    assert sum(int(row["count"]) for row in hours) == sum(int(row["count"]) for row in days) == COUNT
    assert max(float(row["max"]) for row in days) <= 20
    assert [row["flags"] for row in days if row["flags"]] == ['{"impossible": 1}']


def test_a_series_is_found_by_its_names_as_json_within_a_span(reader: FlaskClient) -> None:
    span = "since=2016-04-12T10:00:00Z&until=2016-04-12T15:00:00%2B03:00"
    told = reader.get(f"/api/v1/series/gate/probe%201/temperature?{span}").json
    assert told is not None
    assert (told["resolution"], told["stand_ins"], told["series"]["id"]) == ("raw", {}, 1)
    assert [row["time"][11:16] for row in told["rows"]] == [f"{h}:{m:02}" for h in (10, 11) for m in (0, 15, 30, 45)]


def test_a_phone_that_unpacks_gets_it_packed(reader: FlaskClient) -> None:
    answer = reader.get("/api/v1/series/1?format=csv", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(gzip.decompress(answer.data).splitlines()) == COUNT + 1


@pytest.mark.parametrize("query", ["resolution=minute", "format=xml", "since=yesterday"])
def test_what_is_not_understood_is_answered_with_what_would_be(reader: FlaskClient, query: str) -> None:
    answer = reader.get(f"/api/v1/series/1?{query}")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["problem"]


def test_a_series_that_is_not_there_is_not_found(reader: FlaskClient) -> None:
    assert reader.get("/api/v1/series/99").status_code == 404
    assert reader.get("/api/v1/series/gate/humidity").status_code == 404
    assert reader.get("/data/99/").status_code == 404


def test_a_large_series_is_sent_without_being_held(kit: TrialKit, reader: FlaskClient) -> None:
    writer = ReadingWriter()
    with kit.store() as database, database.atomic() as connection:
        writer.begin(connection)
        series = writer.series(connection, "a", "humidity", "%RH")
        assert series is not None
        for second in range(20_000):
            writer.add(
                connection,
                series,
                time_ms=kit.now_ms - second * 1000,
                value=50.0,
                quality=0,
                raw=None,
                arrived_ms=kit.now_ms,
                own_time=True,
            )
        writer.flush(connection)
    rows = 0
    tracemalloc.start()
    answer = reader.get("/api/v1/series/2", buffered=False)
    for line in answer.iter_encoded():
        rows += line.count(b'"time"')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 20_000
    assert peak < 1_500_000


def test_the_page_shows_the_last_week_and_where_to_take_it_from(reader: FlaskClient) -> None:
    assert "gate/probe 1" in reader.get("/data/").text
    page = reader.get("/data/1/").text
    assert page.count("<polyline") == 1
    assert "/api/v1/series/1?format=csv&amp;resolution=hour" in page
    assert "the mean of each hour" in page


def test_the_page_speaks_swahili(reader: FlaskClient) -> None:
    assert "Siku saba zilizopita" in reader.get("/data/1/", headers={"Accept-Language": "sw"}).text


def test_a_silence_is_a_gap_in_the_line_and_a_constant_has_a_scale() -> None:
    hours = [Hour(at * 3_600_000, 5, 5, 5) for at in (1, 2, 3, 20, 21)]
    chart = draw(hours, since_ms=0, until_ms=24 * 3_600_000, midnights=[(0, "12")])
    assert chart is not None
    assert len(chart.lines) == 2
    assert len(chart.values) >= 2
    assert draw([], since_ms=0, until_ms=1, midnights=[]) is None


def test_json_is_json_even_when_there_are_no_rows(reader: FlaskClient) -> None:
    answer = reader.get("/api/v1/series/1?since=2030-01-01")
    assert json.loads(answer.data)["rows"] == []


@pytest.mark.parametrize("address", ["/api/v1/series/{}", "/data/{}/"])
def test_a_number_that_no_series_can_have_is_no_page(reader: FlaskClient, address: str) -> None:
    for number in (999, 2**63, "9" * 200):
        assert reader.get(address.format(number)).status_code == 404
