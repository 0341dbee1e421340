"""What the city's operator sees."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from flask.testing import FlaskClient

from kit.model.alert import MsgType, Reference
from kit.store.links import LinkRow, put_link
from sync.core.page import make_app
from sync.protocol.peers import Peer

HOUR_S = 3600.0


@pytest.fixture
def page(city: Any) -> FlaskClient:
    return make_app(city.core).test_client()


def text(page: FlaskClient) -> str:
    """The page without its style and its line breaks."""
    html = page.get("/").get_data(as_text=True)
    html = html.replace("\u00a0", " ")
    return " ".join((html.partition("<style>")[0] + html.partition("</style>")[2]).split())


def busy(city: Any, kits: int = 1) -> list[Any]:
    """Kits with everything that the page can show."""
    made = []
    for number in range(kits):
        kit = city.joined(f"Orchard village {number}")
        city.take(
            city.alert(kit),
            city.receipt(kit),
            *(
                city.readings(kit, {city.now_ms - 60_000: 3.4}, device=f"station-{station}")
                for station in range(8)
            ),
            kit.record("quiz", cbor2.dumps({"lesson": "when-frost-comes", "version": 1, "until_ms": city.now_ms,
                                            "attempts": 12, "questions": 5, "mean_score": 3.8})),
            kit.record("forecast", cbor2.dumps({"n": "2016-04-24", "d": "s", "t": [-210, -340, -80], "p": 62,
                                                "w": True})),
        )  # fmt: skip
        made.append(kit)
    return made


def test_an_empty_core_says_how_to_begin(page: FlaskClient) -> None:
    assert "No kit has joined yet" in text(page)
    assert "kit core invite" in text(page)


def test_a_warning_stands_with_its_minimum_its_end_and_the_plain_word_that_nobody_has_confirmed_it(
    city: Any, page: FlaskClient
) -> None:
    kit = city.joined()
    city.take(city.alert(kit))
    city.clock.advance(180)
    shown = text(page)
    assert "Nobody has confirmed this yet" in shown
    assert "<b>−2.1 °C</b> expected minimum" in shown
    assert "likely −3.4 to −0.8 °C" in shown
    assert "<dt>Valid until</dt><dd>Sun 06:00 UTC <span>in 11 h 57 min</span></dd>" in shown
    assert "Heard <b>3 min ago</b> over LoRa radio" in shown
    assert kit.unit in shown


def test_who_confirmed_is_named_with_when_and_how(city: Any, page: FlaskClient) -> None:
    kit = city.joined()
    city.take(city.alert(kit))
    city.clock.advance(600)
    city.take(city.receipt(kit, "Amina"))
    city.clock.advance(60)
    shown = text(page)
    assert "<b>Amina</b> confirmed on the kit&#39;s page" in shown
    assert "18:10 UTC, 1 min ago" in shown
    assert "Nobody has confirmed" not in shown


def test_after_the_all_clear_it_is_still_known_who_had_confirmed(city: Any, page: FlaskClient) -> None:
    kit = city.joined()
    city.take(city.alert(kit), city.receipt(kit, "Amina"))
    first = Reference("k", "frost-1", city.now_ms)
    city.clock.advance(12 * HOUR_S)
    city.take(city.alert(kit, "frost-1-clear", msg_type=MsgType.CANCEL, references=(first,)))
    shown = text(page)
    assert "all clear 06:00 UTC" in shown
    assert "Amina" in shown
    assert "<b>0</b> active warnings" in shown
    city.clock.advance(3 * 24 * HOUR_S)
    assert "Amina" not in text(page)


def test_a_warning_that_ran_out_unconfirmed_says_so(city: Any, page: FlaskClient) -> None:
    city.take(city.alert(city.joined()))
    city.clock.advance(13 * HOUR_S)
    assert "It ended without anybody having confirmed it." in text(page)


def test_kits_that_need_somebody_stand_first(city: Any, page: FlaskClient) -> None:
    silent = city.joined("A silent one")
    city.clock.advance(3 * HOUR_S)
    calm, confirmed, open_ = (city.joined(name) for name in ("B calm", "C confirmed", "D unconfirmed"))
    city.take(city.alert(confirmed), city.receipt(confirmed))
    city.take(city.alert(open_))
    shown = text(page)
    places = [shown.index(f'id="{kit.unit}"') for kit in (open_, confirmed, silent, calm)]
    assert places == sorted(places)
    assert "Silent, last heard <b>3 h ago</b>" in shown


def test_a_kit_that_never_came_back_after_joining_is_said_to_have_joined(city: Any, page: FlaskClient) -> None:
    kit = city.kit()
    city.enrol(city.hello(kit, city.invite("New village")))
    assert "Joined <b>just now</b>, not heard since" in text(page)


def test_a_kit_with_a_twin_is_named_with_what_to_do(city: Any, page: FlaskClient) -> None:
    kit = city.joined("Orchard village")
    city.store.twin_heard(kit.unit, now_ms=city.now_ms)
    text = page.get("/").text
    assert "Two units with the keys of this kit are alive" in text
    assert "kit core invite" in text
    (told,) = page.get("/api/v1/kits").get_json()
    assert told["twin"] == "2016-04-23T18:00:00Z"
    again = city.invite("Orchard village")
    assert isinstance(city.enrol(city.hello(kit, again)), Peer)
    assert "Two units" not in page.get("/").text


def test_readings_quizzes_and_the_forecast_are_shown(city: Any, page: FlaskClient) -> None:
    busy(city)
    shown = text(page)
    assert "8 readings" in shown
    assert "<b>3.4 °C</b>" in shown
    assert "When frost comes: <b>12 quizzes</b>, 3.8 of 5 right on average" in shown
    assert "chance of frost <b>62 %</b>" in shown


def test_an_invite_waits_on_the_page_without_what_would_let_anybody_in(city: Any, page: FlaskClient) -> None:
    invite = city.invite("Orchard village")
    html = page.get("/").get_data(as_text=True)
    assert "Waiting for 1 kit" in html
    assert invite.encode()[:20] not in html
    assert invite.token.hex() not in html


def test_refused_and_unreadable_records_are_shown_with_the_reason(city: Any, page: FlaskClient) -> None:
    kit = city.joined("Orchard")
    city.take(city.alert(kit), kit.record("readings", b"broken"))
    from dataclasses import replace

    city.take(replace(kit.sent[0], body=b"other"))
    shown = text(page)
    assert "Records that need a look" in shown
    assert "another record is already held under this name" in shown
    assert "<b>Not readable</b>: readings 2 of Orchard" in shown


def test_what_a_kit_sent_cannot_become_markup(city: Any, page: FlaskClient) -> None:
    kit = city.joined("<b>Orchard</b>")
    city.take(city.alert(kit), city.receipt(kit, "<script>alert(1)</script>"))
    html = page.get("/").get_data(as_text=True)
    assert "<script" not in html
    assert "&lt;b&gt;Orchard" in html


def test_the_page_says_when_the_core_s_own_service_or_link_is_down(city: Any, page: FlaskClient) -> None:
    with city.core.open_store() as store, store._database.atomic() as connection:
        row = LinkRow(
            name="lora", state="down", explain="the radio at 10.0.0.9 does not answer", lowest_priority=4,
            last_heard_ms=None, last_sent_ms=None, airtime_left_ms=None, updated_ms=city.now_ms,
        )  # fmt: skip
        put_link(connection, row)
    assert "LoRa radio: the radio at 10.0.0.9 does not answer." in text(page)
    state = {"name": "sync", "state": "waiting", "pid": None, "restarts": 3, "last_error": "port in use"}
    city.core.home.services_file.write_text(json.dumps({"supervisor_pid": 1, "services": [state]}))
    assert "sync service is not running (port in use): nothing can come in" in text(page)


def test_the_page_of_three_busy_kits_fits_into_one_round_trip_and_needs_nothing_from_elsewhere(
    city: Any, page: FlaskClient
) -> None:
    busy(city, 3)
    answer = page.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) < 14_000
    html = gzip.decompress(answer.data).decode()
    assert "<script" not in html
    assert 'http-equiv="refresh" content="10"' in html
    assert 'src="' not in html
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_programs_get_the_kits_as_json(city: Any, page: FlaskClient) -> None:
    (kit,) = busy(city)
    (told,) = page.get("/api/v1/kits").get_json()
    assert told["unit"] == kit.unit
    assert (told["last_heard"], told["link"]) == ("2016-04-23T18:00:00Z", "lora")
    (warning,) = told["warnings"]
    assert warning["state"] == "confirmed"
    assert warning["receipts"] == [
        {"alert": "frost-1", "person": "Amina", "channel": "web", "time": "2016-04-23T18:00:00Z"}
    ]
    assert told["readings"]["count"] == 8


def test_health_is_told_in_a_line_and_nothing_can_be_changed(city: Any, page: FlaskClient) -> None:
    busy(city)
    told = page.get("/healthz").get_json()
    assert (told["status"], told["kits"], told["heard_s_ago"]) == ("ok", 1, 0)
    assert page.get("/nothing").status_code == 404
    assert page.post("/").status_code == 405


def test_a_store_that_cannot_be_opened_is_a_sentence_and_503(city: Any, page: FlaskClient) -> None:
    core: Path = city.core.home.core_database
    core.rename(core.with_suffix(".away"))
    core.mkdir()
    answer = page.get("/healthz")
    assert answer.status_code == 503
    assert "The core cannot show its page" in answer.get_data(as_text=True)
