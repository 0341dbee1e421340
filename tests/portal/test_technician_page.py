from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from kit.health.content_view import RECEIVED_FACT
from kit.identity import check_technician_password, create_technician_password, set_technician_password
from kit.store.facts import put_fact
from kit.store.ingest_state import MALFORMED, Problem, count_problem
from village_apps.portal.sign_in import MISSES
from village_apps.web.trial import TrialKit

PASSWORD = "a long enough password"


@pytest.fixture
def technician(kit: TrialKit) -> FlaskClient:
    set_technician_password(kit.home, PASSWORD)
    client = kit.app.test_client()
    client.post("/technician/sign-in", data={"password": PASSWORD})
    return client


def test_without_the_password_the_page_shows_nothing(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    page = kit.app.test_client().get("/technician/")
    assert 'type="password"' in page.text
    assert "Services" not in page.text


def test_a_wrong_password_is_refused_and_too_many_have_to_wait(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    client = kit.app.test_client()
    answers = [client.post("/technician/sign-in", data={"password": "guess"}).status_code for _ in range(MISSES + 1)]
    assert answers == [403] * MISSES + [429]
    assert client.post("/technician/sign-in", data={"password": PASSWORD}).status_code == 429
    kit.clock.advance(301)
    assert client.post("/technician/sign-in", data={"password": PASSWORD}).status_code == 303


def test_the_technician_sees_services_and_their_last_error(kit: TrialKit, technician: FlaskClient) -> None:
    service = {"name": "sync", "state": "waiting", "pid": None, "restarts": 3, "last_error": "radio <gone>"}
    kit.home.services_file.write_text(json.dumps({"supervisor_pid": 1, "services": [service]}))
    page = technician.get("/technician/").text
    assert "sync" in page
    assert "radio &lt;gone&gt;" in page


def test_the_technician_sees_the_last_malformed_message(kit: TrialKit, technician: FlaskClient) -> None:
    with kit.store() as database, database.atomic() as connection:
        problem = Problem("field-1", MALFORMED, 7, kit.now_ms, "sensors/field-1", b"{\x00<oops\xff", "no JSON")
        count_problem(connection, problem)
    page = technician.get("/technician/").text
    assert "Malformed message of field-1 (7 so far)" in page
    assert "&lt;oops\\xff" in page


def test_the_page_is_kept_nowhere(technician: FlaskClient) -> None:
    assert technician.get("/technician/").headers["Cache-Control"] == "no-store"


def test_the_session_cookie_cannot_be_sent_by_other_pages(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    cookie = kit.app.test_client().post("/technician/sign-in", data={"password": PASSWORD}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/technician"} <= set(cookie.split("; "))


def test_the_one_time_password_leads_to_its_change_and_nowhere_else(kit: TrialKit) -> None:
    once = create_technician_password(kit.home)
    client = kit.app.test_client()
    client.post("/technician/sign-in", data={"password": once})
    assert "works only once" in client.get("/technician/").text
    assert client.post("/technician/password", data={"password": once, "again": once}).status_code == 422
    assert client.post("/technician/password", data={"password": "short", "again": "short"}).status_code == 422
    changed = client.post("/technician/password", data={"password": PASSWORD, "again": PASSWORD})
    assert "The new password is set." in changed.text
    assert check_technician_password(kit.home, PASSWORD) == (True, False)
    client.post("/technician/sign-in", data={"password": PASSWORD})
    assert "Services" in client.get("/technician/").text


def test_a_stranger_cannot_change_the_password(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    answer = kit.app.test_client().post("/technician/password", data={"password": "x" * 12, "again": "x" * 12})
    assert answer.status_code == 403
    assert check_technician_password(kit.home, PASSWORD)[0]


def test_signing_out_ends_the_session(technician: FlaskClient) -> None:
    technician.post("/technician/sign-out")
    assert 'type="password"' in technician.get("/technician/").text


def test_a_session_ends_after_half_an_hour(kit: TrialKit, technician: FlaskClient) -> None:
    kit.clock.advance(1801)
    assert 'type="password"' in technician.get("/technician/").text


def test_files_from_the_city_are_listed(kit: TrialKit, technician: FlaskClient) -> None:
    assert "Files from the city" not in technician.get("/technician/").text
    with kit.store() as database, database.atomic() as connection:
        put_fact(connection, RECEIVED_FACT, {"lesson/water.txt": {"bytes": 560, "at_ms": kit.now_ms}}, at_ms=kit.now_ms)
    page = technician.get("/technician/").text
    assert "Files from the city" in page
    assert "lesson/water.txt · 560 B ·" in page
