"""What MQTT 5 adds, as a client experiences it: reasons, lives, aliases, options, properties."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, encode_property, subscription_ids
from kit.broker.protocol.reasons import Reason

if TYPE_CHECKING:
    from tests.broker.conftest import Client, Unit

PASSED_ON = b"".join(
    [
        encode_property(Prop.PAYLOAD_FORMAT, 1),
        encode_property(Prop.CONTENT_TYPE, "application/senml+json"),
        encode_property(Prop.RESPONSE_TOPIC, "sensors/roof/answer"),
        encode_property(Prop.CORRELATION_DATA, b"\x00\x01"),
        encode_property(Prop.USER_PROPERTY, ("a", "1")),
        encode_property(Prop.USER_PROPERTY, ("a", "2")),
    ]
)


def last_word(client: Client) -> int:
    """The reason with which the broker closes the connection."""
    said = client.receive()
    assert isinstance(said, Disconnect), said
    assert client.is_closed()
    return said.reason


def got(client: Client) -> Publish:
    message = client.receive()
    assert isinstance(message, Publish)
    return message


def test_the_broker_says_what_it_takes(unit: Unit) -> None:
    with unit.connect5("roof", keep_alive_s=9_000) as roof:
        limits = Limits()
        assert roof.welcome == Connack(
            session_present=False,
            code=0,
            keep_alive_s=limits.keep_alive_s,
            receive_maximum=limits.receive_maximum,
            packet_bytes=limits.packet_bytes,
            topic_alias_maximum=limits.topic_aliases,
        )


def test_a_client_without_an_id_is_given_one_that_stays_its_own(unit: Unit) -> None:
    with unit.connect5("roof", client_id="", clean_session=False, session_expiry_s=60) as roof:
        mine = roof.welcome.assigned_client_id
        assert mine
        with unit.connect5("roof", client_id="") as other:
            assert other.welcome.assigned_client_id not in {None, mine}
        roof.send(Disconnect())
        assert roof.is_closed()
    with unit.connect5("roof", client_id=mine, clean_session=False, present=True):
        pass


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("roof", b"wrong", Reason.BAD_CREDENTIALS),
        ("roof", None, Reason.NOT_AUTHORIZED),
        (None, b"token", Reason.NOT_AUTHORIZED),
    ],
)
def test_who_may_not_come_in_learns_why(
    unit: Unit, username: str | None, password: bytes | None, reason: Reason
) -> None:
    with unit.dial() as client:
        client.version = 5
        client.send(Connect(client_id="x", username=username, password=password, version=5))
        answer = client.receive()
        assert isinstance(answer, Connack)
        assert answer.code == reason
        assert client.is_closed()


def test_enhanced_authentication_is_refused_by_its_own_reason(unit: Unit) -> None:
    with unit.dial() as client:
        client.version = 5
        client.send(Connect(client_id="x", version=5, auth_method="SCRAM-SHA-256"))
        answer = client.receive()
        assert isinstance(answer, Connack)
        assert answer.code == Reason.BAD_AUTHENTICATION_METHOD
    with unit.connect5("roof") as roof:
        roof.socket.sendall(b"\xf0\x00")
        assert last_word(roof) == Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(("qos", "kind"), [(1, Puback), (2, Pubrec)])
def test_a_publish_outside_its_own_name_is_answered_and_the_connection_lives(
    unit: Unit, eventually: Callable[..., bool], qos: int, kind: type[Puback | Pubrec]
) -> None:
    with unit.connect5("roof") as roof:
        roof.send(Publish("sensors/field", b"forged", qos, packet_id=1))
        answer = roof.receive()
        assert isinstance(answer, kind)
        assert answer.reason == Reason.NOT_AUTHORIZED
        assert "roof may not publish on sensors/field" in answer.text
        roof.publish("sensors/roof", b"its own", packet_id=2)
    assert unit.seen() == [b"its own"]
    statement = "SELECT username, topic, reason, count FROM broker_refusals"
    assert eventually(lambda: unit.rows(statement) == [("roof", "sensors/field", "not below its own name", 1)])


def test_a_forged_publish_at_qos_0_ends_the_connection_with_the_reason(unit: Unit) -> None:
    with unit.connect5("roof") as roof:
        roof.send(Publish("sensors/field", b"forged"))
        assert last_word(roof) == Reason.NOT_AUTHORIZED


def test_reasons_in_words_are_left_out_when_the_client_does_not_want_them(unit: Unit) -> None:
    with unit.connect5("roof", problem_information=False) as roof:
        roof.send(Publish("sensors/field", b"forged", 1, packet_id=1))
        roof.expect(Puback(1, Reason.NOT_AUTHORIZED))


def test_reasons_in_words_are_left_out_where_they_would_not_fit(unit: Unit) -> None:
    with unit.connect5("roof", packet_bytes=40) as roof:
        roof.send(Publish("sensors/field", b"forged", 1, packet_id=1))
        roof.expect(Puback(1, Reason.NOT_AUTHORIZED))
        roof.send(Publish("sensors/field", b"forged"))
        roof.expect(Disconnect(Reason.NOT_AUTHORIZED))


def test_every_acknowledgement_says_how_it_went(unit: Unit) -> None:
    with unit.connect5("roof") as roof:
        roof.send(Subscribe(1, (("commands/roof/#", 2), ("sensors/field/#", 1), ("#", 0))))
        roof.expect(Suback(1, (2, Reason.NOT_AUTHORIZED, Reason.NOT_AUTHORIZED)))
        roof.send(Unsubscribe(2, ("commands/roof/#", "never/there")))
        roof.expect(Unsuback(2, (Reason.SUCCESS, Reason.NO_SUBSCRIPTION_EXISTED)))
        roof.send(Pubrel(77), Pubrec(78))
        roof.expect(Pubcomp(77, Reason.PACKET_ID_NOT_FOUND), Pubrel(78, Reason.PACKET_ID_NOT_FOUND))


def test_what_concerns_only_the_readers_reaches_them_unaltered(unit: Unit) -> None:
    with unit.connect5("roof") as roof, unit.connect5() as service, unit.connect(client_id="old") as old:
        service.subscribe("sensors/#")
        old.subscribe("sensors/#")
        roof.send(Publish("sensors/roof", b"x", 1, True, packet_id=1, properties=PASSED_ON))
        roof.expect(Puback(1))
        assert got(service).properties == PASSED_ON
        old.expect(Publish("sensors/roof", b"x", 1, packet_id=1))
        with unit.connect5(client_id="later") as later:
            later.subscribe("sensors/#")
            assert got(later).properties == PASSED_ON


def test_aliases_stand_for_topics_in_both_directions(unit: Unit) -> None:
    with unit.connect5("roof") as roof, unit.connect5(topic_alias_maximum=1) as service:
        service.subscribe("sensors/#")
        roof.send(
            Publish("sensors/roof/a", b"1", 1, packet_id=1, alias=3),
            Publish("", b"2", 1, packet_id=2, alias=3),
            Publish("sensors/roof/b", b"3", 1, packet_id=3, alias=3),
            Publish("", b"4", 1, packet_id=4, alias=3),
        )
        heard = [got(service) for _ in range(4)]
        assert [(m.topic, m.alias, m.payload) for m in heard] == [
            ("sensors/roof/a", 1, b"1"),
            ("", 1, b"2"),
            ("sensors/roof/b", None, b"3"),
            ("sensors/roof/b", None, b"4"),
        ]


@pytest.mark.parametrize(
    ("alias", "topic", "reason"),
    [
        (0, "sensors/roof", Reason.TOPIC_ALIAS_INVALID),
        (33, "sensors/roof", Reason.TOPIC_ALIAS_INVALID),
        (1, "", Reason.PROTOCOL_ERROR),
    ],
)
def test_an_alias_that_means_nothing_ends_the_connection(unit: Unit, alias: int, topic: str, reason: Reason) -> None:
    with unit.connect5("roof") as roof:
        roof.send(Publish(topic, b"x", alias=alias))
        assert last_word(roof) == reason


def test_a_client_hears_itself_only_if_it_wants_to(unit: Unit) -> None:
    with unit.connect5("roof") as roof:
        roof.send(Subscribe(1, (("sensors/roof/#", Wish(1, no_local=True)),)))
        roof.expect(Suback(1, (1,)))
        roof.publish("sensors/roof/a", b"x")
        assert roof.hears_nothing()
        roof.send(Subscribe(2, (("sensors/roof/a", Wish(0)),)))
        roof.expect(Suback(2, (0,)))
        roof.publish("sensors/roof/a", b"y")
        roof.expect(Publish("sensors/roof/a", b"y"))


def test_the_retain_flag_is_kept_as_published_and_retained_messages_come_as_wished(unit: Unit) -> None:
    with unit.connect5("roof") as roof, unit.connect5() as service:
        roof.publish("sensors/roof/a", b"on", retain=True)
        service.send(Subscribe(1, (("sensors/#", Wish(0, as_published=True, retain_handling=2)),)))
        service.expect(Suback(1, (0,)))
        assert service.hears_nothing()
        roof.publish("sensors/roof/a", b"off", retain=True)
        service.expect(Publish("sensors/roof/a", b"off", retain=True))
        service.send(Subscribe(2, (("sensors/#", Wish(0, retain_handling=1)),)))
        service.expect(Suback(2, (0,)))
        assert service.hears_nothing()
        service.send(Subscribe(3, (("sensors/roof/+", Wish(0, retain_handling=1)),)))
        service.expect(Suback(3, (0,)), Publish("sensors/roof/a", b"off", retain=True))


def test_a_message_names_the_subscriptions_it_comes_from_once(unit: Unit) -> None:
    with unit.connect5("roof") as roof, unit.connect5() as service:
        service.send(Subscribe(1, (("sensors/#", 0),), 7), Subscribe(2, (("sensors/roof", 0),), 300))
        service.expect(Suback(1, (0,)), Suback(2, (0,)))
        roof.publish("sensors/roof", b"x")
        message = got(service)
        assert message.properties in {subscription_ids((7, 300)), subscription_ids((300, 7))}
        assert service.hears_nothing()


def test_the_members_of_a_group_share_the_messages_between_them(unit: Unit, eventually: Callable[..., bool]) -> None:
    with (
        unit.connect5("roof") as roof,
        unit.connect5(client_id="one") as one,
        unit.connect5(client_id="two") as two,
    ):
        for member in (one, two):
            assert member.subscribe("$share/readers/sensors/#") == (1,)
        for number in range(1, 11):
            roof.publish("sensors/roof", b"%d" % number, packet_id=number)
        heard = [got(member).payload for member in (one, two) for _ in range(5)]
        assert sorted(heard, key=int) == [b"%d" % number for number in range(1, 11)]
        two.socket.close()
        broker = unit.broker
        assert broker is not None
        assert eventually(lambda: len(broker._links) == 2)
        roof.publish("sensors/roof", b"11", packet_id=11)
        assert got(one).payload == b"11"


def test_the_client_sets_how_many_messages_may_be_on_their_way_to_it(unit: Unit) -> None:
    with unit.connect5("roof", receive_maximum=2) as roof, unit.connect5() as service:
        roof.subscribe("commands/roof/#")
        for number in range(1, 4):
            service.publish("commands/roof/x", b"%d" % number, packet_id=number)
        assert [got(roof).payload, got(roof).payload] == [b"1", b"2"]
        assert roof.hears_nothing()
        roof.send(Puback(1))
        assert got(roof).payload == b"3"


def test_who_begins_more_messages_than_agreed_is_told_so(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(receive_maximum=3))
    with unit.connect5() as service:
        for number in range(1, 4):
            service.send(Publish("status/x", b"", 2, packet_id=number))
            service.expect(Pubrec(number))
        service.send(Publish("status/x", b"", 2, packet_id=4))
        assert last_word(service) == Reason.RECEIVE_MAXIMUM_EXCEEDED


def test_a_message_too_large_for_its_reader_is_left_out_and_the_rest_arrives(unit: Unit) -> None:
    with unit.connect5("roof", clean_session=False, session_expiry_s=60) as roof, unit.connect5() as service:
        roof.subscribe("commands/roof/#")
        roof.send(Disconnect())
        assert roof.is_closed()
        service.publish("commands/roof/x", b"x" * 500)
        with unit.connect5("roof", clean_session=False, session_expiry_s=60, packet_bytes=64, present=True) as small:
            service.publish("commands/roof/x", b"x" * 500)
            service.publish("commands/roof/x", b"fits")
            assert got(small).payload == b"fits"


def test_a_session_lives_as_long_as_its_client_said(unit: Unit) -> None:
    def came_back(**wishes: Any) -> bool:
        with unit.dial() as roof:
            roof.version = 5
            password = unit.passwords["roof"].encode()
            roof.send(Connect(client_id="r", username="roof", password=password, version=5, **wishes))
            answer = roof.receive()
            assert isinstance(answer, Connack)
            roof.send(Disconnect(session_expiry_s=wishes.get("session_expiry_s")))
            assert roof.is_closed()
            return answer.session_present

    assert not came_back(session_expiry_s=2)
    assert came_back(clean_session=False, session_expiry_s=2)
    time.sleep(2.8)
    assert not came_back(clean_session=False)
    assert not came_back(clean_session=False)
    assert unit.rows("SELECT count(*) FROM mqtt_sessions") == [(0,)]


def test_a_goodbye_can_shorten_a_sessions_life_but_not_give_it_one(unit: Unit) -> None:
    with unit.connect5("roof", session_expiry_s=600) as roof:
        roof.send(Disconnect(session_expiry_s=0))
        assert roof.is_closed()
    with unit.connect5("roof", clean_session=False, present=False) as roof:
        roof.send(Disconnect(session_expiry_s=60))
        assert last_word(roof) == Reason.PROTOCOL_ERROR


def test_a_message_that_has_expired_is_not_delivered_and_others_say_what_is_left(unit: Unit) -> None:
    with unit.connect5("roof", session_expiry_s=600) as roof, unit.connect5() as service:
        roof.subscribe("commands/roof/#")
        roof.send(Disconnect())
        assert roof.is_closed()
        service.send(
            Publish("commands/roof/x", b"short", 1, packet_id=1, expiry_s=1),
            Publish("commands/roof/x", b"long", 1, packet_id=2, expiry_s=100),
            Publish("commands/roof/kept", b"short", 1, True, packet_id=3, expiry_s=1),
        )
        service.expect(Puback(1), Puback(2), Puback(3))
        time.sleep(1.1)
        with unit.connect5("roof", clean_session=False, present=True) as back:
            message = got(back)
            assert message.payload == b"long"
            assert message.expiry_s in range(90, 100)
            assert back.subscribe("commands/roof/kept") == (1,)
            assert back.hears_nothing()
    assert unit.rows("SELECT count(*) FROM mqtt_retained") == [(0,)]


def test_a_delayed_will_waits_and_is_withdrawn_when_the_client_returns(unit: Unit) -> None:
    will = Message("sensors/roof", b"gone", 1)
    with unit.connect5() as service:
        service.subscribe("sensors/#")
        for present in (False, True, True):
            roof = unit.connect5(
                "roof", clean_session=False, session_expiry_s=60, will=will, will_delay_s=2, present=present
            )
            roof.socket.close()
            assert service.hears_nothing(0.3)
        assert got(service).payload == b"gone"


def test_a_delayed_will_does_not_wait_beyond_its_session(unit: Unit) -> None:
    with unit.connect5() as service:
        service.subscribe("sensors/#")
        will = Message("sensors/roof", b"gone", 1, properties=PASSED_ON)
        unit.connect5("roof", will=will, will_delay_s=60, will_expiry_s=9).socket.close()
        message = got(service)
        assert (message.payload, message.properties, message.expiry_s) == (b"gone", PASSED_ON, 9)


def test_a_goodbye_can_ask_for_the_will(unit: Unit) -> None:
    with unit.connect5() as service, unit.connect5("roof", will=Message("sensors/roof", b"gone")) as roof:
        service.subscribe("sensors/#")
        roof.send(Disconnect(Reason.DISCONNECT_WITH_WILL))
        assert got(service).payload == b"gone"


def test_whoever_is_shown_out_learns_why(unit: Unit) -> None:
    first = unit.connect5("roof")
    with unit.connect5("roof") as second:
        assert last_word(first) == Reason.SESSION_TAKEN_OVER
        unit.remove_device("roof")
        assert last_word(second) == Reason.ADMINISTRATIVE_ACTION
    with unit.connect5("field", keep_alive_s=1) as silent:
        assert last_word(silent) == Reason.KEEP_ALIVE_TIMEOUT
    with unit.connect5("field") as field:
        field.socket.sendall(b"\xff\x00")
        assert last_word(field) == Reason.MALFORMED_PACKET
    with unit.connect5("field") as field:
        field.socket.sendall(b"\x30\xff\xff\x7f")
        assert last_word(field) == Reason.PACKET_TOO_LARGE
    with unit.connect5() as service:
        unit.stop()
        assert last_word(service) == Reason.SERVER_SHUTTING_DOWN


def test_what_mqtt_5_remembers_survives_sigkill(killable: Unit, eventually: Callable[..., bool]) -> None:
    roof = killable.connect5("roof", session_expiry_s=600)
    field = killable.connect5("field", will=Message("sensors/field", b"gone", 1, properties=PASSED_ON), will_delay_s=1)
    roof.send(Subscribe(1, (("commands/roof/#", Wish(1, as_published=True)),), 7))
    roof.expect(Suback(1, (1,)))
    short = killable.connect5("roof", client_id="short", session_expiry_s=1)
    short.subscribe("commands/roof/#")
    with killable.connect5() as service:
        service.send(
            Publish("commands/roof/a", b"long", 1, True, packet_id=1, properties=PASSED_ON, expiry_s=600),
            Publish("commands/roof/b", b"short", 1, packet_id=2, expiry_s=1),
        )
        service.expect(Puback(1), Puback(2))
        assert [got(roof).payload, got(roof).payload] == [b"long", b"short"]
        roof.send(Disconnect())
        assert roof.is_closed()
        service.send(Publish("commands/roof/b", b"never sent", 1, packet_id=3, expiry_s=1))
        service.expect(Puback(3))
        killable.kill()
    time.sleep(1.0)
    killable.start_process()
    with killable.connect5("roof", clean_session=False, session_expiry_s=600, present=True) as back:
        again = got(back)
        assert (again.payload, again.dup, again.retain) == (b"long", True, True)
        assert again.properties == PASSED_ON + subscription_ids((7,))
        assert again.expiry_s is not None
        assert 590 < again.expiry_s < 600
        assert got(back).payload == b"short"
        assert back.hears_nothing()
    assert eventually(lambda: killable.seen()[-1] == b"gone")
    for client in (short, field):
        client.socket.close()
    with killable.connect5("roof", client_id="short", clean_session=False, present=False):
        pass
