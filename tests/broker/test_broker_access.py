"""Who comes in, and what an attacker with one device's password gets: nothing of the others."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import FAILURE, Connack, Connect, Message, Puback, Publish

if TYPE_CHECKING:
    from tests.broker.conftest import Unit

BUSY_S = 2.0
"""Real seconds by which a machine that does something else besides is late."""


def attempt(unit: Unit, username: str | None, password: bytes | None) -> int:
    with unit.dial() as client:
        client.send(Connect(client_id="x", username=username, password=password))
        answer = client.receive()
        assert isinstance(answer, Connack)
        assert client.is_closed()
        return answer.code


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), ("roof", None), ("roof", b"wrong"), ("roof", b""), ("nobody", b"x"), ("kit-test", b""), ("", b"")],
)
def test_nobody_comes_in_without_the_right_password(unit: Unit, username: str | None, password: bytes | None) -> None:
    assert attempt(unit, username, password) == 5


def test_refused_sign_ins_are_counted_by_address_for_the_technician(
    unit: Unit, eventually: Callable[..., bool]
) -> None:
    attempt(unit, "roof", b"wrong")
    attempt(unit, "field", b"wrong")
    statement = "SELECT address, username, count FROM broker_failed_logins"
    assert eventually(lambda: unit.rows(statement) == [("127.0.0.1", "field", 2)])


def test_who_guesses_waits_longer_and_longer_but_nobody_else_does(unit: Unit) -> None:
    for _ in range(4):
        attempt(unit, "roof", b"wrong")
    with unit.dial() as guesser:
        started = time.monotonic()
        guesser.send(Connect(client_id="x", username="roof", password=b"wrong"))
        with unit.connect("roof"):
            came_in_s = time.monotonic() - started
        guesser.expect(Connack(session_present=False, code=5))
        assert time.monotonic() - started > max(0.8, came_in_s)


def test_a_new_device_comes_in_without_a_restart(unit: Unit) -> None:
    unit.add_device("new")
    with unit.connect("new") as new:
        new.publish("sensors/new", b"hello")


def test_a_removed_device_is_shown_out_within_a_second_and_leaves_nothing_to_its_successor(unit: Unit) -> None:
    with unit.connect("roof", clean=False) as roof:
        roof.subscribe("commands/roof/#")
        with unit.connect() as service:
            started = time.monotonic()
            unit.remove_device("roof")
            assert roof.is_closed()
            assert time.monotonic() - started < 1.0 + BUSY_S
            service.publish("commands/roof/x", b"secret")
    assert attempt(unit, "roof", unit.passwords["roof"].encode()) == 5
    unit.add_device("roof")
    with unit.connect("roof", clean=False, present=False) as roof:
        assert roof.hears_nothing()


@pytest.mark.parametrize("topic", ["sensors/field", "alerts/village", "commands/roof/x", "sensors", "$SYS/x"])
def test_a_publish_outside_its_own_name_closes_the_connection_and_is_remembered(
    unit: Unit, eventually: Callable[..., bool], topic: str
) -> None:
    with unit.connect("roof") as roof:
        roof.send(Publish(topic, b"forged", 1, packet_id=1), Publish("sensors/roof", b"after", 1, packet_id=2))
        assert roof.is_closed()
    statement = "SELECT username, topic, reason, count FROM broker_refusals"
    assert eventually(lambda: unit.rows(statement) == [("roof", topic, "not below its own name", 1)])
    assert unit.seen() == []


def test_a_forged_will_is_refused_at_the_door(unit: Unit) -> None:
    with unit.dial() as roof:
        password = unit.passwords["roof"].encode()
        roof.send(Connect(client_id="x", username="roof", password=password, will=Message("alerts/village", b"fire")))
        roof.expect(Connack(session_present=False, code=5))
        assert roof.is_closed()
    assert unit.seen() == []


def test_a_device_hears_nothing_of_the_others_not_even_what_is_retained(unit: Unit) -> None:
    with unit.connect("field") as field, unit.connect("roof") as roof, unit.connect() as service:
        field.publish("sensors/field/state", b"private", retain=True)
        service.publish("commands/field/x", b"private", retain=True)
        service.publish("alerts/village", b"for everybody", retain=True)
        asked = ("#", "+/field/#", "sensors/#", "sensors/field/#", "commands/#", "+/+/state", "$SYS/#")
        assert roof.subscribe(*asked) == (FAILURE,) * len(asked)
        field.publish("sensors/field", b"private")
        assert roof.hears_nothing()
        assert roof.subscribe("alerts/#") == (1,)
        roof.expect(Publish("alerts/village", b"for everybody", 1, retain=True, packet_id=1))


def test_one_device_cannot_fill_the_kit_with_retained_messages(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(retained_per_user=3))
    unit.add_device("roof")
    unit.add_device("field")
    with unit.connect("roof") as roof:
        for n in range(3):
            roof.publish(f"sensors/roof/{n}", b"x", retain=True)
        roof.publish("sensors/roof/1", b"replaced", retain=True)
        roof.send(Publish("sensors/roof/4", b"x", 1, retain=True, packet_id=1))
        assert roof.is_closed()
    with unit.connect("field") as field:
        field.publish("sensors/field/1", b"x", retain=True)


def test_kept_sessions_of_one_user_are_bounded_and_the_oldest_makes_room(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(sessions_per_user=2))
    unit.add_device("roof")
    for name in ("a", "b", "c"):
        with unit.connect("roof", client_id=name, clean=False):
            pass
    assert unit.rows("SELECT client_id FROM mqtt_sessions ORDER BY 1") == [("b",), ("c",)]


def test_refused_topics_are_counted_without_end_in_bounded_space(unit: Unit, eventually: Callable[..., bool]) -> None:
    for n in range(60):
        with unit.connect("roof") as roof:
            roof.send(Publish(f"sensors/other/{n}", b"x"))
            assert roof.is_closed()
    assert eventually(lambda: unit.rows("SELECT sum(count) FROM broker_refusals") == [(60,)])
    assert unit.rows("SELECT count(*) FROM broker_refusals") == [(51,)]


def test_strangers_that_wait_make_room_for_who_signs_in(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(connections_unauthenticated=6))
    strangers = [unit.dial() for _ in range(3)]
    with unit.connect() as service:
        assert strangers[0].is_closed()
        service.send(Publish("status/x", b"", 1, packet_id=1))
        service.expect(Puback(1))
        with unit.dial() as one_more:
            assert one_more.hears_nothing()
    for stranger in strangers:
        stranger.socket.close()


def test_strangers_take_no_place_from_devices_when_all_places_are_taken(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(connections=3))
    with unit.connect(client_id="one"), unit.connect(client_id="two") as two, unit.dial() as stranger:
        assert stranger.hears_nothing()
        with unit.connect(client_id="three"):
            assert stranger.is_closed()
            with unit.dial() as one_more:
                assert one_more.is_closed()
            two.publish("status/x", b"")


def test_a_table_of_devices_that_cannot_be_read_is_not_called_a_wrong_password(unit: Unit) -> None:
    with sqlite3.connect(unit.file) as connection:
        connection.execute("ALTER TABLE devices RENAME TO elsewhere")
    with unit.dial() as roof:
        roof.send(Connect(client_id="x", username="roof", password=unit.passwords["roof"].encode()))
        roof.expect(Connack(session_present=False, code=3))
    assert "table of devices cannot be read" in unit.problems.get(timeout=5)
    with unit.connect() as service:
        service.publish("status/x", b"services still come in")
    connection.close()
