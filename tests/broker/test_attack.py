"""A thief has one device's password and both versions of MQTT: nothing of the others is read, written or taken over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, encode_property
from kit.broker.protocol.reasons import Reason

if TYPE_CHECKING:
    from tests.broker.conftest import Client, Unit

FOREIGN_FILTERS = (
    "#",
    "+",
    "+/#",
    "+/field/#",
    "+/+",
    "+/+/state",
    "sensors/#",
    "sensors/+",
    "sensors/+/#",
    "sensors/field",
    "sensors/field/#",
    "sensors/roof/../field/#",
    "commands/#",
    "commands/field/#",
    "/sensors/field/#",
    "$SYS/#",
    "$SYS/broker/clients/total",
    "$share/thieves/#",
    "$share/thieves/sensors/field/#",
    "$share/thieves/+/field/state",
    "$queue/sensors/field/#",
)
FOREIGN_TOPICS = (
    "sensors/field",
    "sensors/field/state",
    "sensors/roofs",
    "sensors",
    "sensors//roof",
    "/sensors/roof",
    "Sensors/roof",
    "commands/roof/x",
    "commands/field/x",
    "alerts/village",
    "status/broker",
    "$SYS/broker",
    "$share/x/sensors/field",
)


@pytest.fixture(params=[4, 5])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def thief(unit: Unit, version: int) -> Client:
    return unit.connect5("roof") if version == 5 else unit.connect("roof")


@pytest.fixture
def furnished(unit: Unit) -> Unit:
    """A unit in which others have retained private things."""
    with unit.connect("field") as field, unit.connect() as service:
        field.publish("sensors/field/state", b"private", retain=True)
        service.publish("commands/field/x", b"private", retain=True)
        service.publish("status/broker", b"private", retain=True)
    return unit


def test_no_filter_reads_what_is_not_its_own_not_even_retained(furnished: Unit, version: int) -> None:
    with thief(furnished, version) as roof, furnished.connect("field") as field, furnished.connect() as service:
        refused = Reason.NOT_AUTHORIZED if version == 5 else 0x80
        # `sensors/roof/../field/#` is below its own name: to MQTT ".." is a word like any other
        own = "sensors/roof/../field/#"
        asked = tuple(f for f in FOREIGN_FILTERS if f != own)
        assert roof.subscribe(*asked) == (refused,) * len(asked)
        assert roof.subscribe(own) == (1,)
        field.publish("sensors/field/state", b"private")
        service.publish("commands/field/x", b"private")
        assert roof.hears_nothing()


@pytest.mark.parametrize("topic", FOREIGN_TOPICS)
def test_no_topic_is_written_that_is_not_its_own(furnished: Unit, version: int, topic: str) -> None:
    with thief(furnished, version) as roof:
        roof.send(Publish(topic, b"forged", 1, retain=True, packet_id=1))
        if version == 5:
            answer = roof.receive()
            assert isinstance(answer, Puback)
            assert answer.reason == Reason.NOT_AUTHORIZED
        else:
            assert roof.is_closed()
    assert b"forged" not in furnished.seen()
    assert furnished.rows("SELECT count(*) FROM mqtt_retained WHERE payload = x'666f72676564'") == [(0,)]


def test_others_retained_messages_cannot_be_cleared(furnished: Unit, version: int) -> None:
    with thief(furnished, version) as roof:
        roof.send(Publish("sensors/field/state", b"", 1, retain=True, packet_id=1))
        if version == 5:
            assert isinstance(roof.receive(), Puback)
        else:
            assert roof.is_closed()
    assert furnished.rows("SELECT payload FROM mqtt_retained WHERE topic = 'sensors/field/state'") == [(b"private",)]


def test_a_will_on_anothers_topic_is_refused_at_the_door(furnished: Unit, version: int) -> None:
    with furnished.dial() as roof:
        roof.version = version
        password = furnished.passwords["roof"].encode()
        will = Message("sensors/field", b"forged", 1, retain=True)
        roof.send(Connect(client_id="x", username="roof", password=password, will=will, version=version))
        answer = roof.receive()
        assert isinstance(answer, Connack)
        assert answer.code == (Reason.NOT_AUTHORIZED if version == 5 else 5)
        assert roof.is_closed()
    assert b"forged" not in furnished.seen()


def test_a_topic_alias_carries_nothing_past_the_door(furnished: Unit) -> None:
    with furnished.connect5("roof") as roof:
        # the alias is set by a publish that is refused, and then used
        roof.send(Publish("sensors/field", b"1", 1, packet_id=1, alias=1), Publish("", b"2", 1, packet_id=2, alias=1))
        answers = [roof.receive(), roof.receive()]
        assert [a.reason for a in answers if isinstance(a, Puback)] == [Reason.NOT_AUTHORIZED] * 2
        # aliases of one connection mean nothing on another
        roof.send(Publish("sensors/roof", b"own", 1, packet_id=3, alias=2))
        roof.expect(Puback(3))
    with furnished.connect5("field") as field:
        field.send(Publish("", b"whose?", alias=2))
        said = field.receive()
        assert isinstance(said, Disconnect)
    assert furnished.seen()[-1] == b"own"


def test_a_shared_subscription_takes_nothing_away_from_another_user(furnished: Unit) -> None:
    with furnished.connect5("roof") as roof, furnished.connect5("field") as field, furnished.connect() as service:
        assert roof.subscribe("$share/village/alerts/#") == (1,)
        assert field.subscribe("$share/village/alerts/#") == (1,)
        for number in range(1, 5):
            service.publish("alerts/village", b"%d" % number, packet_id=number)
        for victim in (field, roof):
            heard = [victim.receive() for _ in range(4)]
            assert [m.payload for m in heard if isinstance(m, Publish)] == [b"1", b"2", b"3", b"4"]


def test_a_response_topic_is_only_words(furnished: Unit) -> None:
    with furnished.connect5("roof") as roof:
        answer_to = encode_property(Prop.RESPONSE_TOPIC, "sensors/field")
        roof.send(Publish("sensors/roof", b"ask", 1, packet_id=1, properties=answer_to))
        roof.expect(Puback(1))
        assert roof.subscribe("sensors/field") == (Reason.NOT_AUTHORIZED,)


def test_a_client_id_opens_nobody_elses_session(furnished: Unit, version: int) -> None:
    with furnished.connect5("field", client_id="field", session_expiry_s=600, clean_session=False) as field:
        field.send(Subscribe(1, (("commands/field/#", Wish(1, retain_handling=2)),)))
        field.expect(Suback(1, (1,)))
        with furnished.dial() as roof, furnished.connect() as service:
            roof.version = version
            password = furnished.passwords["roof"].encode()
            taken = Connect(client_id="field", clean_session=False, username="roof", password=password, version=version)
            roof.send(taken)
            answer = roof.receive()
            assert isinstance(answer, Connack)
            assert (answer.code, answer.session_present) == (0, False)
            service.publish("commands/field/x", b"for the field")
            message = field.receive()
            assert isinstance(message, Publish)
            assert message.payload == b"for the field"
            assert roof.hears_nothing()


def test_a_user_name_with_wildcards_or_slashes_is_nobody(unit: Unit) -> None:
    for name in ("+", "#", "kit-web", "roof/../field"):
        with unit.dial() as client:
            client.send(Connect(client_id="x", username=name, password=unit.passwords["roof"].encode()))
            answer = client.receive()
            assert isinstance(answer, Connack)
            assert answer.code == 5


def test_a_replaced_password_shuts_the_thief_out_at_once_and_keeps_what_waits(unit: Unit, version: int) -> None:
    with unit.connect("roof", clean=False) as roof, unit.connect() as service:
        roof.subscribe("commands/roof/#")
        stolen = unit.passwords["roof"].encode()
        started = time.monotonic()
        unit.rotate("roof")
        with unit.dial() as again:
            again.version = version
            again.send(Connect(client_id="t", username="roof", password=stolen, version=version))
            answer = again.receive()
            assert isinstance(answer, Connack)
            assert answer.code == (Reason.BAD_CREDENTIALS if version == 5 else 5)
        assert roof.is_closed()
        assert time.monotonic() - started < 3
        service.publish("commands/roof/x", b"waits")
    with unit.connect("roof", clean=False, present=True) as roof:
        roof.expect(Publish("commands/roof/x", b"waits", 1, packet_id=1))
