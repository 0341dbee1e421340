"""An unknown device is let in by a person, without a manual and without being typed into twice; nobody else is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from kit_broker import Door, Ear, NotLetInError, broker_of

from kit.collect.joining import accept, suggest_name
from kit.errors import KitError, UsageError
from kit.identity import set_technician_password
from kit.model.join_code import ALPHABET, LENGTH, VALID_MS, make_code, read_code, shown
from kit.model.places import Place
from kit.store.device_users import GUESSES_FORGOTTEN_S, GUESSES_OF_ALL, GUESSES_OF_ONE, Guesses
from kit.store.devices import list_devices, remove_device, rotate_password
from kit.store.joining import NobodyWaits, Waiting, current_code, list_waiting, turn_away
from kit.store.readings import find_readings
from village_apps.web.trial import TrialKit

TELE = ("tele/tasmota_1A2B3C/SENSOR", '{"AM2301":{"Temperature":4.5},"TempUnit":"C"}')


@pytest.fixture
def door(kit: TrialKit) -> Iterator[Door]:
    with broker_of(kit) as opened:
        yield opened


def code_of(kit: TrialKit) -> str:
    with kit.store() as database, database.atomic() as connection:
        return current_code(connection, now_ms=kit.now_ms)[0]


def waiting(kit: TrialKit) -> list[Waiting]:
    with kit.store() as database:
        return list_waiting(database.connection)


def let_in(kit: TrialKit, number: int, name: str, **how: object) -> None:
    with kit.store() as database, database.atomic() as connection:
        accept(connection, number, name, now_ms=kit.now_ms, **how)  # type: ignore[arg-type]  # as given by the test


def measured(kit: TrialKit) -> set[tuple[str, str, float]]:
    with kit.store() as database:
        return {(row.device, row.quantity, row.value) for row in find_readings(database.connection)}


def test_a_device_that_knows_the_code_waits_with_its_last_reading_and_is_let_in_with_one_touch(
    kit: TrialKit, door: Door
) -> None:
    code = code_of(kit)
    door.publish("join", [TELE], client_id="DVES_1A2B3C", password=shown(code).lower())
    (one,) = waiting(kit)
    assert (one.client_id, one.kind, one.base, one.open) == ("DVES_1A2B3C", "tasmota", "tasmota_1A2B3C", False)
    assert (one.reading, one.messages) == ("temperature 4.5 Cel", 1)
    assert measured(kit) == set(), "what it says is no reading before a person has let it in"
    let_in(kit, one.id, "orchard", place=Place("upper field"))
    # nothing is typed into it: the same user name, client id and code
    door.publish("join", [TELE], client_id="DVES_1A2B3C", password=code)
    assert measured(kit) == {("orchard", "temperature", 4.5)}
    with kit.store() as database:
        assert [(d.name, d.kind, d.place.name, d.open) for d in list_devices(database.connection)] == [
            ("orchard", "tasmota", "upper field", False)
        ]
    assert waiting(kit) == []


def test_a_waiting_device_reads_nothing_and_is_heard_by_nobody(kit: TrialKit, door: Door) -> None:
    door.let_in("victim", "native")
    with door.client("kit-test") as witness, door.client("join", client_id="x", password=code_of(kit)) as stranger:
        ear, spy = Ear(witness), Ear(stranger)
        witness.subscribe("#", qos=1)
        stranger.subscribe([("#", 1), ("alerts/#", 1), ("sensors/victim/#", 1), ("$share/g/#", 1), ("$SYS/#", 1)])
        for topic in ("sensors/victim", "alerts/village", "commands/victim/x", "whatever"):
            stranger.publish(topic, b'[{"n":"temperature","v":1}]', qos=1, retain=True).wait_for_publish(5)
        witness.publish("alerts/village", b"real", qos=1).wait_for_publish(5)
        time.sleep(0.3)
    assert ear.heard == [("alerts/village", b"real")]
    assert spy.heard == []
    assert measured(kit) == set()


def test_a_code_lets_in_one_device_and_only_for_an_hour(kit: TrialKit, door: Door) -> None:
    code = code_of(kit)
    door.publish("join", [], client_id="first", password=code)
    with pytest.raises(NotLetInError):
        door.publish("join", [], client_id="second", password=code)
    door.publish("anything", [], client_id="first", password=code)
    fresh = code_of(kit)
    assert fresh != code
    kit.clock.advance(VALID_MS / 1000 + 1)
    with pytest.raises(NotLetInError):
        door.publish("join", [], client_id="third", password=fresh)
    assert code_of(kit) != fresh
    assert len(waiting(kit)) == 1


def test_the_code_on_the_screen_stays_while_it_lasts_and_survives_a_clock_that_was_set_back(kit: TrialKit) -> None:
    code = code_of(kit)
    kit.clock.advance(600)
    assert code_of(kit) == code
    kit.clock.advance(-40 * 365 * 86_400)
    assert code_of(kit) != code, "one made in the future could be good for ever"


def test_whoever_guesses_is_not_let_in_even_with_the_right_code(kit: TrialKit, door: Door) -> None:
    users = door.broker._users  # type: ignore[union-attr]  # asked directly: the door holds guesses back for seconds
    from kit.broker.ports import Claim

    code = code_of(kit)
    for _ in range(GUESSES_OF_ONE):
        assert users.sign_in(Claim("join", b"22222222", "x", "10.0.0.9")) is None
    assert users.sign_in(Claim("join", code.encode(), "x", "10.0.0.9")) is None
    assert users.sign_in(Claim("join", code.encode(), "y", "10.0.0.8")) is not None, "others are not held up"
    kit.clock.advance(GUESSES_FORGOTTEN_S + 1)
    assert users.sign_in(Claim("join", code_of(kit).encode(), "x", "10.0.0.9")) is not None


def test_guesses_from_ever_new_addresses_stop_all_joining_for_a_while() -> None:
    guesses = Guesses()
    for number in range(GUESSES_OF_ALL):
        assert guesses.may_try(f"10.0.{number}.1", 0.0)
        guesses.missed(f"10.0.{number}.1", 0.0)
    assert not guesses.may_try("10.1.1.1", 1.0)
    assert guesses.may_try("10.1.1.1", GUESSES_FORGOTTEN_S + 1)


def test_a_device_without_a_password_waits_speaks_for_itself_alone_and_is_marked(kit: TrialKit, door: Door) -> None:
    topic = "shellyplusht-08b61f/events/rpc"
    told = '{"method":"NotifyStatus","params":{"temperature:0":{"tC":3.5}}}'
    door.publish("", [(topic, told)], client_id="shellyplusht-08b61f", port=door.open_port)
    (one,) = waiting(kit)
    assert (one.kind, one.base, one.open, one.reading) == ("shelly", "shellyplusht-08b61f", True, "temperature 3.5 Cel")
    let_in(kit, one.id, "shed", place=Place("Seed store"))
    with door.client("", client_id="shellyplusht-08b61f", port=door.open_port, v5=True) as client:
        answered: list[bool] = []
        client.on_publish = lambda *told: answered.append(told[3].is_failure)
        codes: list[bool] = []
        client.on_subscribe = lambda *told: codes.extend(reason.is_failure for reason in told[3])
        client.publish(topic, told.encode(), qos=1)
        client.publish("sensors/other", b"[]", qos=1)
        client.subscribe([("alerts/#", 1), ("#", 1)])
        deadline = time.monotonic() + 5
        while (len(answered) < 2 or len(codes) < 2) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert (sorted(answered), codes) == ([False, True], [True, True])
    assert measured(kit) == {("shed", "temperature", 3.5)}
    assert "has no password" in kit.app.test_client().get("/now/").text
    with pytest.raises(NotLetInError), door.client("shed", password=""):
        pass
    with kit.store() as database, pytest.raises(UsageError, match="without a password"):
        rotate_password(database.connection, "shed")


def test_the_closed_listener_lets_nobody_in_without_a_password(door: Door) -> None:
    with pytest.raises(NotLetInError), door.client("", client_id="shelly"):
        pass


def test_a_device_that_was_turned_away_has_to_ask_again(kit: TrialKit, door: Door) -> None:
    code = code_of(kit)
    door.publish("join", [], client_id="x", password=code)
    with kit.store() as database, database.atomic() as connection:
        turn_away(connection, list_waiting(connection)[0].id)
    with pytest.raises(NotLetInError):
        door.publish("join", [], client_id="x", password=code)
    with kit.store() as database, pytest.raises(NobodyWaits):
        turn_away(database.connection, 1)


def test_a_waiting_device_cannot_take_anothers_topics_or_the_kits(kit: TrialKit, door: Door) -> None:
    door.let_in("garden", "native")
    pack = '[{"n":"temperature","v":1}]'
    for number, topic in enumerate(("sensors/garden", "alerts/village", "status/x")):
        door.publish("join", [(topic, pack)], client_id=f"thief-{number}", password=code_of(kit))
    for one in waiting(kit):
        with pytest.raises(KitError):
            let_in(kit, one.id, f"thief-{one.id}")
    assert len(waiting(kit)) == 3
    with kit.store() as database:
        assert [device.name for device in list_devices(database.connection)] == ["garden"]


def test_one_that_has_said_nothing_yet_is_let_in_only_as_what_a_person_says_it_is(kit: TrialKit, door: Door) -> None:
    code = code_of(kit)
    door.publish("join", [("some/thing", "hello")], client_id="x", password=code)
    (one,) = waiting(kit)
    with pytest.raises(UsageError, match="said nothing yet"):
        let_in(kit, one.id, "garden")
    let_in(kit, one.id, "garden", kind="native")
    door.publish("join", [("sensors/garden", '[{"n":"temperature","v":1}]')], client_id="x", password=code)
    assert measured(kit) == {("garden", "temperature", 1.0)}


def test_an_accepted_device_can_be_given_a_password_of_its_own_or_be_shut_out(kit: TrialKit, door: Door) -> None:
    code = code_of(kit)
    door.publish("join", [TELE], client_id="x", password=code)
    let_in(kit, waiting(kit)[0].id, "orchard")
    with kit.store() as database, database.atomic() as connection:
        password = rotate_password(connection, "orchard").password
    door.publish("orchard", [], password=password)
    with pytest.raises(NotLetInError):
        door.publish("join", [], client_id="x", password=code)
    with kit.store() as database, database.atomic() as connection:
        remove_device(connection, "orchard")
    with pytest.raises(NotLetInError):
        door.publish("orchard", [], password=password)


def test_a_reading_says_more_of_a_device_than_its_discovery(kit: TrialKit, door: Door) -> None:
    config = json.dumps({"state_topic": "zigbee2mqtt/a", "value_template": "{{ value_json.temperature }}", "name": "T"})
    said = [("zigbee2mqtt/a", '{"temperature":7}'), ("homeassistant/sensor/a/t/config", config)]
    door.publish("join", said, client_id="z2m", password=code_of(kit))
    assert (waiting(kit)[0].kind, waiting(kit)[0].reading) == ("zigbee2mqtt", "temperature 7.0 Cel")


@given(st.text(max_size=20))
def test_what_cannot_be_a_code_is_none(text: str) -> None:
    code = read_code(text)
    assert code is None or (len(code) == LENGTH and set(code) <= set(ALPHABET))


@given(st.randoms(use_true_random=False))
def test_a_code_is_read_as_it_is_shown(chance: object) -> None:
    code = make_code(chance.choice)  # type: ignore[attr-defined]  # a random.Random
    assert read_code(shown(code)) == read_code(f"  {shown(code).lower()} ") == code


@pytest.fixture
def technician(kit: TrialKit) -> FlaskClient:
    set_technician_password(kit.home, "a long enough password")
    client = kit.app.test_client()
    client.post("/technician/sign-in", data={"password": "a long enough password"})
    return client


def test_the_technician_shows_the_code_and_lets_a_device_in_with_one_touch(
    kit: TrialKit, door: Door, technician: FlaskClient
) -> None:
    assert "No device waits." in technician.get("/technician/").text
    technician.post("/technician/join-code")
    page = technician.get("/technician/").text
    found = re.search(r'class="number-big code">([A-Z2-9]{4}-[A-Z2-9]{4})<', page)
    assert found
    assert "<svg" in page.partition('<div class="code"')[2][:60], "the picture"
    door.publish("join", [TELE], client_id="DVES_1A2B3C", password=found[1])
    page = technician.get("/technician/").text
    assert found[1] not in page, "it is used up"
    assert "Waiting: tasmota" in page
    assert "temperature 4.5 Cel" in page
    assert 'value="tasmota_1a2b3c"' in page, "a name is there already"
    number = waiting(kit)[0].id
    again = technician.post("/technician/let-in", data={"number": number, "name": "Upper Field!", "place": "x"})
    assert again.status_code == 422
    assert "cannot be a device&#39;s name" in again.text
    form = {"number": number, "name": "orchard", "place": "river bank", "latitude": "-0,37", "longitude": "36.32"}
    assert technician.post("/technician/let-in", data=form).status_code == 303
    door.publish("join", [TELE], client_id="DVES_1A2B3C", password=found[1])
    assert measured(kit) == {("orchard", "temperature", 4.5)}
    with kit.store() as database:
        assert list_devices(database.connection)[0].place == Place("river bank", -0.37, 36.32)
    assert "river bank" in technician.get("/technician/").text
    assert "river bank" in kit.app.test_client().get("/now/").text


def test_a_stranger_sees_no_code_and_lets_nobody_in(kit: TrialKit, door: Door) -> None:
    set_technician_password(kit.home, "a long enough password")
    door.publish("join", [TELE], client_id="x", password=code_of(kit))
    stranger = kit.app.test_client()
    for path in ("join-code", "let-in", "turn-away"):
        answer = stranger.post(f"/technician/{path}", data={"number": waiting(kit)[0].id, "name": "mine"})
        assert answer.status_code == 403
    assert shown(code_of(kit)) not in stranger.get("/technician/").text
    assert len(waiting(kit)) == 1


def test_the_technician_turns_a_device_away(kit: TrialKit, door: Door, technician: FlaskClient) -> None:
    door.publish("join", [("x", "<b>hello</b>")], client_id="<i>x</i>", password=code_of(kit))
    page = technician.get("/technician/").text
    assert "<i>x</i>" not in page
    assert "not recognised yet" in page
    assert technician.post("/technician/turn-away", data={"number": waiting(kit)[0].id}).status_code == 303
    assert technician.post("/technician/turn-away", data={"number": "1"}).status_code == 422
    assert waiting(kit) == []


def test_a_name_is_suggested_that_is_free_and_may_be_used() -> None:
    assert suggest_name("tele/tasmota_1A2B3C/SENSOR", "x", []) == "tasmota_1a2b3c"
    assert suggest_name("tele/pump/SENSOR", "x", ["pump", "pump-2"]) == "pump-3"
    assert suggest_name("", "kit-collect", []) == "collect"
    assert suggest_name("", "…", []) == "sensor"
