"""Writing to the city on a phone, and reading what it answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from kit.model.letters import LONGEST_TEXT, letter_body, make_letter
from kit.store.records import SqliteRecordStore
from sync.protocol.records import Priority, Record, RecordId
from village_apps.messages.letters import WAITING_AT_MOST, send
from village_apps.web.trial import TrialKit


@pytest.fixture
def phone(kit: TrialKit) -> FlaskClient:
    return kit.app.test_client()


def sheet(phone: FlaskClient) -> dict[str, str]:
    page = phone.get("/messages/").text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token is not None
    return {"token": token.group(1), "name": "Amina", "days": "7"}


def queue(kit: TrialKit) -> list[Record]:
    with kit.store() as database:
        return SqliteRecordStore(database).outgoing("core", now_ms=kit.now_ms, limit=200)


def from_city(kit: TrialKit, text: str, seq: int = 1) -> None:
    body = letter_body(make_letter(text, "Wanjiru"))
    record = Record(
        id=RecordId("core-x", 1, seq), kind="message", priority=Priority.MESSAGE, created_ms=kit.now_ms, body=body
    )
    with kit.store() as database:
        SqliteRecordStore(database).take([record], peer="core-x", link="lora", at_ms=kit.now_ms)


def accept(kit: TrialKit) -> None:
    with kit.store() as database:
        store = SqliteRecordStore(database)
        ids = [each.id for each in store.outgoing("core", now_ms=kit.now_ms, limit=9)]
        store.left(ids, peer="core", link="lora", at_ms=kit.now_ms)
        store.accepted(ids, peer="core", link="lora", at_ms=kit.now_ms)


def test_what_is_sent_shows_how_far_it_has_come_and_claims_nothing_more(kit: TrialKit, phone: FlaskClient) -> None:
    answer = phone.post("/messages/", data=sheet(phone) | {"text": "The bridge is gone"})
    assert answer.status_code == 303
    page = phone.get(answer.location).text
    assert "The bridge is gone" in page
    assert "Has not left the village yet" in page
    assert "Nobody has read it yet" in page
    accept(kit)
    page = phone.get(answer.location).text
    assert "The city has it" in page
    assert "Nobody has read it yet" in page


def test_a_sheet_handed_in_twice_is_one_message(kit: TrialKit, phone: FlaskClient) -> None:
    form = sheet(phone) | {"text": "Once"}
    first, second = phone.post("/messages/", data=form), phone.post("/messages/", data=form)
    assert first.location == second.location
    assert [record.kind for record in queue(kit)] == ["message"]


def test_another_phone_does_not_see_what_this_one_sent(kit: TrialKit, phone: FlaskClient) -> None:
    phone.post("/messages/", data=sheet(phone) | {"text": "A private word"})
    assert "A private word" in phone.get("/messages/").text
    assert "A private word" not in kit.app.test_client().get("/messages/").text
    assert kit.app.test_client().get("/messages/sent/aaaaaaaaaaaaaaaaaaaa").status_code == 404


def test_what_is_too_long_or_empty_is_given_back_with_a_sentence(kit: TrialKit, phone: FlaskClient) -> None:
    long = "word " * (LONGEST_TEXT // 4)
    answer = phone.post("/messages/", data=sheet(phone) | {"text": long})
    assert answer.status_code == 422
    assert "at most 500 letters" in answer.text
    assert long.strip() in answer.text
    assert "Please write something." in phone.post("/messages/", data=sheet(phone) | {"text": " \n "}).text
    assert queue(kit) == []


def test_a_radio_that_has_enough_to_do_takes_no_more_and_says_so(kit: TrialKit, phone: FlaskClient) -> None:
    with kit.store() as database, database.atomic() as connection:
        for number in range(WAITING_AT_MOST):
            send(connection, make_letter("x"), token=f"t{number:030}", now_ms=kit.now_ms, lifetime_s=60)
    answer = phone.post("/messages/", data=sheet(phone) | {"text": "One more"})
    assert answer.status_code == 429
    assert "100 messages wait" in answer.text
    assert "One more" in answer.text


def test_a_message_that_ran_out_says_so_to_its_author_and_to_the_technician(kit: TrialKit, phone: FlaskClient) -> None:
    answer = phone.post("/messages/", data=sheet(phone) | {"text": "Tonight only", "days": "1"})
    kit.clock.at_s += 24 * 3600
    assert "did not reach the city" in phone.get(answer.location).text
    (app,) = (app for app in kit.frame.apps if app.name == "messages")
    assert app.status_lines is not None
    assert [line.ok for line in app.status_lines(kit.context)] == [False]


def test_the_citys_message_is_news_until_a_person_says_they_have_read_it(kit: TrialKit, phone: FlaskClient) -> None:
    from_city(kit, "A truck comes\ntomorrow <b>")
    assert "Nobody has read it yet" in phone.get("/").text
    page = phone.get("/messages/").text
    assert "A truck comes\ntomorrow &lt;b&gt;" in page
    number = re.search(r'action="/messages/(\d+)/read"', page)
    assert number is not None
    assert phone.post(f"/messages/{number.group(1)}/read", data={"name": "Juma"}).status_code == 303
    assert "Read by Juma" in phone.get("/messages/").text
    assert "Nobody has read it yet" not in phone.get("/").text
    (told,) = queue(kit)
    assert (told.kind, told.addressee, told.priority) == ("custody", "core-x", Priority.RECEIPT)
    assert phone.post("/messages/999/read", data={"name": "Juma"}).status_code == 404


def test_hostile_letters_change_nothing(kit: TrialKit, phone: FlaskClient) -> None:
    bad: list[Any] = [{"text": "x", "token": "../../etc"}, {"text": "x"}, {}]
    assert {phone.post("/messages/", data=data).status_code for data in bad} == {422}
    phone.set_cookie("letters", "a.b.<script>." + "x" * 3000, path="/messages")
    assert phone.get("/messages/").status_code == 200
    assert queue(kit) == []


def test_it_is_read_in_swahili_too(phone: FlaskClient) -> None:
    page = phone.get("/messages/?lang=sw").text
    assert "Andika kwa jiji" in page
    assert "Write to the city" not in page
