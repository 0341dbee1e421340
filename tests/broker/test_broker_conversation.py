"""What a client experiences: publishing at all levels, subscriptions, retained messages, wills, kept sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    FAILURE,
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.writer import encode

if TYPE_CHECKING:
    from tests.broker.conftest import Unit


def test_a_reading_is_in_the_store_when_its_puback_arrives(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.publish("sensors/roof", b"21.5")
        assert unit.seen() == [b"21.5"]


def test_the_collector_learns_who_published_and_how(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.send(Publish("sensors/roof/a", b"x", 1, dup=True, packet_id=7))
        roof.expect(Puback(7))
    assert unit.rows("SELECT username, topic, payload, qos, duplicate FROM seen") == [
        ("roof", "sensors/roof/a", b"x", 1, 1)
    ]


def test_a_qos_0_reading_reaches_the_store_though_the_device_leaves_at_once(
    unit: Unit, eventually: Callable[..., bool]
) -> None:
    with unit.connect("roof") as roof:
        roof.send(Publish("sensors/roof", b"x"))
    assert eventually(lambda: unit.seen() == [b"x"])


def test_a_device_may_say_everything_in_one_breath(unit: Unit, eventually: Callable[..., bool]) -> None:
    connect = Connect(client_id="r", username="roof", password=unit.passwords["roof"].encode())
    with unit.dial() as roof:
        roof.send(connect, Publish("sensors/roof", b"1", 1, packet_id=1), Publish("sensors/roof", b"2"), Disconnect())
    assert eventually(lambda: unit.seen() == [b"1", b"2"])


def test_a_burst_is_acknowledged_in_order(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.send(*[Publish("sensors/roof", b"%d" % n, 1, packet_id=n) for n in range(1, 401)])
        roof.expect(*[Puback(n) for n in range(1, 401)])
        assert len(unit.seen()) == 400


def test_a_message_reaches_its_subscribers_once_with_the_smaller_qos(unit: Unit) -> None:
    with unit.connect() as service, unit.connect("roof") as roof:
        service.send(Subscribe(5, (("sensors/#", 1), ("sensors/+", 2), ("nothing", 0))))
        service.expect(Suback(5, (1, 2, 0)))
        roof.send(Publish("sensors/roof", b"at most once"))
        service.expect(Publish("sensors/roof", b"at most once"))
        roof.publish("sensors/roof", b"at least once")
        service.expect(Publish("sensors/roof", b"at least once", 1, packet_id=1))
        service.send(Puback(1), Unsubscribe(6, ("sensors/#", "sensors/+")))
        service.expect(Unsuback(6))
        roof.publish("sensors/roof", b"nobody listens", packet_id=2)
        assert service.hears_nothing()


def test_qos_2_is_delivered_exactly_once_to_a_subscriber(unit: Unit) -> None:
    with unit.connect() as service, unit.connect("roof") as roof:
        service.subscribe("sensors/#", qos=2)
        roof.send(Publish("sensors/roof", b"x", 2, packet_id=4))
        roof.expect(Pubrec(4))
        service.expect(Publish("sensors/roof", b"x", 2, packet_id=1))
        service.send(Pubrec(1))
        service.expect(Pubrel(1))
        service.send(Pubcomp(1))
        roof.send(Pubrel(4))
        roof.expect(Pubcomp(4))
        assert service.hears_nothing()


def test_a_repeated_qos_2_publish_is_taken_once(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.send(
            Publish("sensors/roof", b"x", 2, packet_id=4), Publish("sensors/roof", b"x", 2, dup=True, packet_id=4)
        )
        roof.expect(Pubrec(4), Pubrec(4))
        roof.send(Pubrel(4), Pubrel(4))
        roof.expect(Pubcomp(4), Pubcomp(4))
        assert unit.seen() == [b"x"]
        roof.send(Publish("sensors/roof", b"another", 2, packet_id=4))
        roof.expect(Pubrec(4))
    assert unit.seen() == [b"x", b"another"]


def test_qos_2_is_exactly_once_across_a_reconnection_of_the_publisher(unit: Unit) -> None:
    with unit.connect("roof", clean=False) as roof:
        roof.send(Publish("sensors/roof", b"x", 2, packet_id=4))
        roof.expect(Pubrec(4))
    with unit.connect("roof", clean=False, present=True) as roof:
        roof.send(Publish("sensors/roof", b"x", 2, dup=True, packet_id=4))
        roof.expect(Pubrec(4))
    assert unit.seen() == [b"x"]


def test_a_retained_message_waits_for_new_subscribers_and_an_empty_one_clears_it(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.publish("sensors/roof/state", b"on", retain=True)
        with unit.connect() as service:
            service.send(Subscribe(1, (("sensors/+/state", 0),)))
            service.expect(Suback(1, (0,)), Publish("sensors/roof/state", b"on", retain=True))
            roof.publish("sensors/roof/state", b"off", retain=True)
            service.expect(Publish("sensors/roof/state", b"off"))
        roof.publish("sensors/roof/state", b"", retain=True)
    with unit.connect() as service:
        service.subscribe("sensors/#")
        assert service.hears_nothing()


def test_a_will_is_published_when_the_client_vanishes(unit: Unit) -> None:
    with unit.connect() as service:
        service.subscribe("sensors/#")
        unit.connect("roof", will=Message("sensors/roof/alive", b"no", 1, retain=True)).socket.close()
        service.expect(Publish("sensors/roof/alive", b"no", 1, packet_id=1))
    with unit.connect() as service:
        service.subscribe("sensors/#")
        service.expect(Publish("sensors/roof/alive", b"no", 1, retain=True, packet_id=1))


def test_a_will_is_forgotten_when_the_client_says_goodbye(unit: Unit) -> None:
    with unit.connect() as service:
        service.subscribe("sensors/#")
        with unit.connect("roof", will=Message("sensors/roof/alive", b"no")) as roof:
            roof.send(Disconnect())
            assert roof.is_closed()
        assert service.hears_nothing()


def test_a_silent_client_is_disconnected_and_its_will_is_published(unit: Unit) -> None:
    with unit.connect() as service, unit.connect("roof", keep_alive_s=1, will=Message("sensors/roof", b"gone")) as roof:
        service.subscribe("sensors/#")
        roof.send(Pingreq())
        roof.expect(Pingresp())
        assert roof.is_closed()
        service.expect(Publish("sensors/roof", b"gone"))


def test_a_second_connection_takes_over_the_session_of_the_first(unit: Unit) -> None:
    with unit.connect("roof", clean=False, will=Message("sensors/roof", b"will")) as first:
        first.subscribe("commands/roof/#")
        with unit.connect("roof", clean=False, present=True) as second:
            assert first.is_closed()
            with unit.connect() as service:
                service.publish("commands/roof/pump", b"on")
            second.expect(Publish("commands/roof/pump", b"on", 1, packet_id=1))
    assert unit.seen()[0] == b"will"


def test_nobody_takes_over_the_session_of_another_user_by_its_client_id(unit: Unit) -> None:
    with unit.connect("roof", client_id="same", clean=False) as roof:
        roof.subscribe("commands/roof/#")
        with unit.connect("field", client_id="same", clean=False), unit.connect() as service:
            service.publish("commands/roof/pump", b"on")
            roof.expect(Publish("commands/roof/pump", b"on", 1, packet_id=1))


def test_a_kept_session_collects_messages_while_its_client_is_away(unit: Unit) -> None:
    with unit.connect("roof", clean=False) as roof:
        roof.subscribe("commands/roof/#")
    with unit.connect() as service:
        for n in range(1, 31):
            service.publish("commands/roof/x", b"%d" % n)
    with unit.connect("roof", clean=False, present=True) as roof:
        for n in range(1, 31):
            message = roof.receive()
            assert isinstance(message, Publish)
            assert (message.payload, message.dup) == (b"%d" % n, False)
            roof.send(Puback(message.packet_id or 0))
    with unit.connect("roof", clean=True):
        pass
    with unit.connect("roof", clean=False, present=False):
        pass


def test_what_a_client_did_not_acknowledge_comes_again_with_dup(unit: Unit) -> None:
    with unit.connect("roof", clean=False) as roof, unit.connect() as service:
        roof.subscribe("commands/roof/#")
        service.publish("commands/roof/x", b"1")
        roof.expect(Publish("commands/roof/x", b"1", 1, packet_id=1))
    with unit.connect("roof", clean=False, present=True) as roof:
        roof.expect(Publish("commands/roof/x", b"1", 1, dup=True, packet_id=1))


def test_a_full_queue_keeps_the_newest_messages(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(queued_messages=5))
    unit.add_device("roof")
    with unit.connect("roof", clean=False) as roof:
        roof.subscribe("commands/roof/#")
    with unit.connect() as service:
        for n in range(20):
            service.publish("commands/roof/x", b"%d" % n)
    assert unit.rows("SELECT count(*) FROM mqtt_queue") == [(5,)]
    with unit.connect("roof", clean=False, present=True) as roof:
        messages = [roof.receive() for _ in range(5)]
    assert [m.payload for m in messages if isinstance(m, Publish)] == [b"15", b"16", b"17", b"18", b"19"]


def test_the_window_to_a_client_opens_as_it_acknowledges(unit: Unit) -> None:
    with unit.connect("roof") as roof, unit.connect() as service:
        roof.subscribe("commands/roof/#")
        for n in range(25):
            service.publish("commands/roof/x", b"%d" % n)
        for n in range(1, 21):
            roof.expect(Publish("commands/roof/x", b"%d" % (n - 1), 1, packet_id=n))
        assert roof.hears_nothing()
        roof.send(Puback(1))
        roof.expect(Publish("commands/roof/x", b"20", 1, packet_id=21))


def test_a_filter_too_many_for_the_session_is_refused(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(subscriptions_per_session=2))
    with unit.connect() as service:
        assert service.subscribe("a", "b", "c") == (1, 1, FAILURE)
        assert service.subscribe("a") == (1,)


def test_a_malformed_packet_closes_only_that_connection(unit: Unit) -> None:
    with unit.connect("roof") as roof, unit.connect("field") as field:
        roof.socket.sendall(b"\xff\xff\xff\xff\xff\xff")
        assert roof.is_closed()
        field.publish("sensors/field", b"still here")


def test_a_client_of_a_version_that_is_not_spoken_is_told_so(unit: Unit) -> None:
    with unit.dial() as old, unit.dial() as new:
        old.socket.sendall(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a")
        old.expect(Connack(session_present=False, code=1))
        assert old.is_closed()
        new.version = 5
        new.socket.sendall(b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01a")
        answer = new.receive()
        assert isinstance(answer, Connack)
        assert (answer.code, "protocol level 6" in answer.text) == (Reason.UNSUPPORTED_VERSION, True)
        assert new.is_closed()


def test_a_packet_beyond_the_limit_closes_the_connection_before_it_is_buffered(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        roof.socket.sendall(encode(Publish("sensors/roof", b"x" * 1_200_000))[:100])
        assert roof.is_closed()


@pytest.mark.parametrize("clean", [True, False])
def test_the_technician_sees_who_is_connected(unit: Unit, eventually: Callable[..., bool], clean: bool) -> None:
    statement = "SELECT username, client_id, address, connected FROM mqtt_clients"
    with unit.connect("roof", client_id="esp-1", clean=clean):
        assert eventually(lambda: unit.rows(statement) == [("roof", "esp-1", "127.0.0.1", 1)])
    assert eventually(lambda: unit.rows(statement) == [("roof", "esp-1", "127.0.0.1", 0)])
