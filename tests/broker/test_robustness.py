"""Clients that are too large, too many, too slow or too silent: the broker keeps its size and serves the others."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Disconnect, Puback, Publish
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.writer import encode

if TYPE_CHECKING:
    from tests.broker.conftest import Client, Unit

MEMORY_BOUND_MIB = 80
PATIENCE_S = 8.0
"""On a loaded machine; an honest client's PUBACK usually takes milliseconds."""


def peak_mib(unit: Unit) -> float:
    assert unit._process is not None
    status = Path(f"/proc/{unit._process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def others_are_served(unit: Unit) -> Iterator[Client]:
    """An honest device that publishes before and after; the broker's memory is looked at in the end."""
    with unit.connect("field") as field:
        field.publish("sensors/field", b"before")
        yield field
        started = time.monotonic()
        field.publish("sensors/field", b"after", packet_id=2)
        assert time.monotonic() - started < PATIENCE_S
    with unit.connect("field", client_id="newcomer"):
        pass
    assert peak_mib(unit) < MEMORY_BOUND_MIB


def test_payloads_of_a_megabyte_are_carried_and_one_more_byte_than_allowed_is_refused(killable: Unit) -> None:
    payload = b"x" * 1_048_576
    with others_are_served(killable), killable.connect("roof") as roof, killable.connect() as service:
        service.subscribe("sensors/roof/#")
        for number in range(1, 13):
            roof.publish("sensors/roof/big", payload, packet_id=number)
            message = service.receive()
            assert isinstance(message, Publish)
            assert message.payload == payload
            service.send(Puback(message.packet_id or 0))
        with killable.connect5("roof", client_id="five") as five:
            five.socket.sendall(b"\x30" + (1_114_200).to_bytes(3, "little"))
    assert len(killable.rows("SELECT 1 FROM seen WHERE length(payload) = 1048576")) == 12


def test_many_unfinished_packets_do_not_add_up(serve: Callable[..., Unit], eventually: Callable[..., bool]) -> None:
    unit = serve(limits=Limits(unfinished_bytes=300_000))
    begun = encode(Publish("status/x", b"x" * 200_000))[:150_000]
    with unit.connect5(client_id="one") as one, unit.connect5(client_id="two") as two, unit.connect5() as honest:
        broker = unit.broker
        assert broker is not None
        one.socket.sendall(begun)
        assert eventually(lambda: broker._unread_bytes == 150_000)
        two.socket.sendall(begun)
        assert eventually(lambda: broker._unread_bytes == 300_000)
        two.socket.sendall(b"x" * 10_000)
        said = two.receive()
        assert isinstance(said, Disconnect)
        assert said.reason == Reason.SERVER_BUSY
        honest.publish("status/y", b"small")
        assert broker._unread_bytes == 150_000


def test_ten_thousand_topics_are_only_topics(killable: Unit) -> None:
    with others_are_served(killable), killable.connect("roof") as roof, killable.connect() as service:
        service.subscribe("sensors/roof/#", qos=0)
        for start in range(0, 10_000, 1_000):
            numbers = range(start, start + 1_000)
            roof.send(*[Publish(f"sensors/roof/{n}/x", b"x", 1, packet_id=n - start + 1) for n in numbers])
            roof.expect(*[Puback(n - start + 1) for n in numbers])
        heard = [service.receive() for _ in range(10_000)]
        assert len({message.topic for message in heard if isinstance(message, Publish)}) == 10_000


def test_a_thousand_half_open_connections_do_not_shut_the_door(killable: Unit) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2_048)), hard))
    with others_are_served(killable):
        half_open = [
            socket.create_connection(("127.0.0.1", killable.port), source_address=(f"127.0.0.{2 + n % 8}", 0))
            for n in range(1_000)
        ]
        with killable.connect("roof") as roof:
            roof.publish("sensors/roof", b"came in")
        for connection in half_open:
            connection.close()


def trickle(client: Client, data: bytes, *, until: float) -> None:
    for byte in data:
        if time.monotonic() > until:
            return
        client.socket.sendall(bytes((byte,)))
        time.sleep(0.05)


def test_a_connect_that_comes_one_byte_at_a_time_has_no_more_time_than_any_other(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(connect_timeout_s=0.8))
    unit.add_device("roof")
    with unit.dial() as slow, unit.connect("roof") as roof:
        started = time.monotonic()
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            trickle(slow, b"\x10\x7f\x00\x04MQTT\x04" + bytes(100), until=started + PATIENCE_S)
        assert 0.6 < time.monotonic() - started < 5
        roof.publish("sensors/roof", b"x")


def test_a_client_that_never_acknowledges_keeps_a_bounded_queue_and_its_place(killable: Unit) -> None:
    with others_are_served(killable), killable.connect("roof") as roof, killable.connect(clean=False) as service:
        assert service.subscribe("sensors/roof") == (1,)
        payload = b"x" * 20_000
        for number in range(1, 1_501):  # 30 MB
            roof.send(Publish("sensors/roof", payload, 1, packet_id=number))
            if number % 50 == 0:
                roof.expect(*[Puback(n) for n in range(number - 49, number + 1)])
        (kept,) = killable.rows("SELECT sum(length(payload)) FROM mqtt_queue")[0]
        assert kept <= Limits().queued_bytes
        last = killable.rows("SELECT max(position), min(position) FROM mqtt_queue")[0]
        assert last[0] == 1_500


def test_many_clients_that_never_acknowledge_share_one_bound(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(queued_bytes_in_all=100_000))
    with unit.connect() as service:
        for number in range(5):
            with unit.connect(client_id=f"away-{number}", clean=False) as away:
                away.subscribe("status/#")
        for number in range(1, 51):
            service.publish("status/x", b"x" * 1_000, packet_id=number)
    (kept,) = unit.rows("SELECT sum(length(payload) + length(topic)) FROM mqtt_queue")[0]
    assert 80_000 < kept <= 100_000
    newest = {row for (row,) in unit.rows("SELECT client_id FROM mqtt_queue WHERE position > 240")}
    assert newest == {f"away-{number}" for number in range(5)}


def test_a_client_that_reads_nothing_is_disconnected_in_the_end(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(unsent_bytes=20_000, blocked_s=0.5))
    with unit.connect(client_id="deaf") as deaf, unit.connect() as service:
        deaf.subscribe("status/#", qos=0)
        assert unit.broker is not None
        ended = time.monotonic() + PATIENCE_S
        while len(unit.broker._links) == 2 and time.monotonic() < ended:
            service.publish("status/x", b"x" * 100_000)
        assert len(unit.broker._links) == 1
