"""Writing to another village from a phone, and answering what came from one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.cli.__main__ import main
from kit.home import Home
from kit.model.custody import CustodyNote, custody_body
from kit.model.letters import letter_body, make_letter
from kit.model.villages import Village, villages_body
from kit.store.records import SqliteRecordStore, write_record
from sync.protocol.enrolment import Invite
from sync.protocol.records import Held, Priority, Record, RecordId, digest_of
from village_apps.web.trial import TrialKit

CORE = "core-aaaaaaaa"
RIVER, HILL = "kit-rrrrrrrr", "kit-hhhhhhhh"
HOSTILE = 'Mto <script>alert(1)</script> & "co"'


def join(home: Home) -> None:
    """As `kit join` and the core's welcome leave it."""
    invite = Invite(
        link_id=7, expires_ms=2**45, token=bytes(16), core_public=bytes(32), core=CORE,
        name="Ol Kalou", address="tcp://127.0.0.1:1",
    )  # fmt: skip
    home.keys.mkdir(exist_ok=True)
    (home.keys / "core.json").write_text(json.dumps({"invite": invite.encode(), "enrolled": True}))


class Core:
    """What the core says to this kit."""

    def __init__(self, kit: TrialKit) -> None:
        self.kit, self.seq = kit, 0

    def say(self, kind: str, body: bytes, *, origin: str = CORE) -> RecordId:
        self.seq += 1
        name = RecordId(origin, 1, self.seq)
        record = Record(id=name, kind=kind, priority=Priority.MESSAGE, created_ms=self.kit.now_ms, body=body)
        with self.kit.store() as database:
            SqliteRecordStore(database).take([record], peer=CORE, link="lora", at_ms=self.kit.now_ms)
        return name

    def villages(self, **names: str) -> None:
        self.say("villages", villages_body(tuple(Village(f"kit-{unit}", name) for unit, name in names.items())))

    def custody(self, record: Record, **more: Any) -> None:
        note = CustodyNote(**({"read": False} | more), at_ms=self.kit.now_ms, told=((record.id.epoch, record.id.seq),))
        self.say("custody", custody_body(note))


@pytest.fixture
def core(kit: TrialKit) -> Core:
    join(kit.home)
    core = Core(kit)
    core.villages(rrrrrrrr=HOSTILE, hhhhhhhh="Hill")
    return core


def sheet(phone: FlaskClient, **more: str) -> dict[str, str]:
    token = re.search(r'name="token" value="([^"]+)"', phone.get("/messages/").text)
    assert token is not None
    return {"token": token.group(1), "name": "Amina", "days": "1", "text": "The pump?"} | more


def outgoing(kit: TrialKit) -> list[Record]:
    with kit.store() as database:
        return SqliteRecordStore(database).outgoing("core", now_ms=kit.now_ms, limit=9)


def accept(kit: TrialKit) -> None:
    with kit.store() as database:
        store = SqliteRecordStore(database)
        ids = [each.id for each in outgoing(kit)]
        store.left(ids, peer=CORE, link="lora", at_ms=kit.now_ms)
        store.accepted(ids, peer=CORE, link="lora", at_ms=kit.now_ms)


def test_a_message_whose_name_was_taken_at_the_core_is_still_followed_by_its_author(kit: TrialKit, core: Core) -> None:
    phone = kit.app.test_client()
    answer = phone.post("/messages/", data=sheet(phone, to=RIVER))
    (record,) = outgoing(kit)
    with kit.store() as database:
        apart = [Held(record.id, digest_of(record.kind, record.body))]
        SqliteRecordStore(database).rename(apart, peer=CORE, at_ms=kit.now_ms)
    assert "The city has it" not in phone.get(answer.location).text
    accept(kit)
    assert "The city has it" in phone.get(answer.location).text


def test_a_villager_chooses_a_village_by_its_name_and_sees_each_step_of_the_way(kit: TrialKit, core: Core) -> None:
    phone = kit.app.test_client()
    page = phone.get("/messages/").text
    assert '<input type="radio" name="to" value="city" checked>' in page
    assert "Mto &lt;script&gt;" in page
    assert "<script>alert" not in page
    answer = phone.post("/messages/", data=sheet(phone, to=RIVER))
    (record,) = outgoing(kit)
    assert record.addressee == RIVER
    page = phone.get(answer.location).text
    assert "To the village Mto &lt;script&gt;" in page
    assert "The other village does not have it yet" in page
    accept(kit)
    page = phone.get(answer.location).text
    assert "Has left the village by radio" in page
    assert "The city has it" in page
    assert "The other village does not have it yet" in page
    core.custody(record)
    assert "The other village has it" in phone.get(answer.location).text
    assert "Nobody has read it yet" in phone.get(answer.location).text
    core.custody(record, read=True, person="Juma")
    assert "Read by Juma" in phone.get(answer.location).text
    kit.clock.at_s += 2 * 86_400
    assert "ran out of time" not in phone.get(answer.location).text


def test_what_came_from_a_village_says_from_which_and_is_answered_there(kit: TrialKit, core: Core) -> None:
    phone = kit.app.test_client()
    core.say("message", letter_body(make_letter("Yes", "Juma")), origin=HILL)
    core.say("message", letter_body(make_letter("Yes", "Nobody")), origin="kit-zzzzzzzz")
    core.say("message", letter_body(make_letter("Yes", "Operator")))
    page = phone.get("/messages/").text
    assert "From the village Hill" in page
    assert "From another village" in page
    assert "From the city" in page
    assert page.count("Answer this village") == 1, "one that the core does not name cannot be chosen"
    assert "Answer the city" in page
    link = re.search(r'href="(/messages/\?to=kit-h+)#write"', page)
    assert link is not None
    assert f'value="{HILL}" checked>' in phone.get(link.group(1)).text
    assert "3 messages have come" in phone.get("/").text


def test_a_village_that_left_the_list_cannot_be_chosen_and_nothing_typed_is_lost(kit: TrialKit, core: Core) -> None:
    phone = kit.app.test_client()
    sent = phone.post("/messages/", data=sheet(phone, to=RIVER)).location
    (record,) = outgoing(kit)
    form = sheet(phone, to=RIVER, text="A second one")
    core.villages(hhhhhhhh="Hill")
    answer = phone.post("/messages/", data=form)
    assert answer.status_code == 422
    assert "not in the city&#39;s list any more" in answer.text
    assert "A second one" in answer.text
    assert len(outgoing(kit)) == 1
    assert "To the village Mto" in phone.get(sent).text, "its author still sees to whom it was"
    core.custody(record, undeliverable=True)
    page = phone.get(sent).text
    assert "it cannot be delivered" in page
    assert "does not have it yet" not in page
    for to in ("kit-zzzzzzzz", "core-aaaaaaaa", "", "'; DROP TABLE records"):
        assert phone.post("/messages/", data=sheet(phone, to=to)).status_code == 422
    assert len(outgoing(kit)) == 1


def test_what_the_city_had_and_the_village_never_got_says_so(kit: TrialKit, core: Core) -> None:
    phone = kit.app.test_client()
    sent = phone.post("/messages/", data=sheet(phone, to=HILL)).location
    kit.clock.at_s += 2 * 86_400
    assert "did not reach the city" in phone.get(sent).text
    kit.clock.at_s -= 2 * 86_400
    accept(kit)
    kit.clock.at_s += 2 * 86_400
    assert "nobody said that it reached the other village" in phone.get(sent).text


def test_many_villages_are_a_list_that_opens_and_namesakes_show_their_ids(kit: TrialKit, core: Core) -> None:
    core.villages(**{letter * 8: "Mto" if letter in "ab" else f"Village {letter}" for letter in "abcdefghij"})
    page = kit.app.test_client().get(f"/messages/?to=kit-{'c' * 8}").text
    assert '<select id="to" name="to">' in page
    assert "Mto (kit-aaaaaaaa)" in page
    assert '<option value="kit-cccccccc" selected>Village c</option>' in page


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=60))
def test_a_village_may_be_called_anything(kit: TrialKit, core: Core, name: str) -> None:
    core.villages(rrrrrrrr=name)
    page = kit.app.test_client().get(f"/messages/?to={RIVER}")
    assert page.status_code == 200
    assert page.text.count('type="radio"') == 2
    assert page.text.count("<script") == kit.app.test_client().get("/").text.count("<script")


def test_the_terminal_takes_names_too_and_says_which_there_are(
    kit: TrialKit, core: Core, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def typed(*words: str) -> tuple[int, str]:
        code = main(["--home", str(kit.home.path), "messages", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    core.villages(rrrrrrrr="Mto", hhhhhhhh="Hill", aaaaaaaa="Mto")
    assert typed("villages") == (0, f"{HILL}  Hill\nkit-aaaaaaaa  Mto\n{RIVER}  Mto\n")
    assert json.loads(typed("villages", "--json")[1])[0] == {"unit": HILL, "name": "Hill"}
    assert "Kept for Hill" in typed("send", "hill", "The pump?")[1]
    assert [each.addressee for each in outgoing(kit)] == [HILL]
    code, told = typed("send", "Mto", "The pump?")
    assert (
        code,
        f"2 villages are called 'Mto'; write the unit id of the one you mean: kit-aaaaaaaa, {RIVER}" in told,
    ) == (2, True)
    code, told = typed("send", "Hil", "The pump?")
    assert (code, "did you mean 'Hill'?" in told) == (2, True)
    assert len(outgoing(kit)) == 1
    (kit.home.keys / "core.json").unlink()
    assert "has joined no city core yet" in typed("villages")[1]


def test_the_queue_says_to_whom_a_message_goes(kit: TrialKit, core: Core, capsys: pytest.CaptureFixture[str]) -> None:
    phone = kit.app.test_client()
    for to in (RIVER, HILL, "city"):
        phone.post("/messages/", data=sheet(phone, to=to))
    with kit.store() as database, database.atomic() as connection:
        write_record(
            connection, kind="message", priority=2, body=b"x", created_ms=kit.now_ms, addressee="kit-away", lifetime_s=9
        )
    assert main(["--home", str(kit.home.path), "queue", "ls", "--kind", "message", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["to"] for row in rows] == [HOSTILE, "Hill", "the core", "kit-away"]
    assert main(["--home", str(kit.home.path), "queue", "ls", "--kind", "message"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "TO" in shown[0].split()
    assert "Hill" in shown[2]
    assert "the core" in shown[3]
    (kit.home.keys / "core.json").write_text("damaged")
    assert main(["--home", str(kit.home.path), "queue", "ls", "--kind", "message", "--json"]) == 0
    assert [row["to"] for row in json.loads(capsys.readouterr().out)] == [RIVER, HILL, "the core", "kit-away"]
