"""A full disk, a slow reader, a taken port: what the broker does when something around it is wrong."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from kit.broker.ports import Claim, Mark, Pass
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Message, Puback, Publish
from kit.broker.protocol.writer import encode
from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.errors import KitError
from kit.model.messages import Published
from tests.broker.conftest import another_writer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.conftest import Unit


class Disk:
    """A collector whose disk can be full."""

    def __init__(self) -> None:
        self.full = False
        self.bug = False

    def __call__(self, connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        if self.bug:
            raise ZeroDivisionError("a bug in the collector")
        connection.executemany("INSERT INTO seen (payload) VALUES (?)", [(p.payload,) for p in publishes])
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def shaky(serve: Callable[..., Unit], disk: Disk) -> Unit:
    made = serve(ingest=disk)
    made.add_device("roof")
    made.add_device("field")
    return made


def test_nothing_is_acknowledged_while_the_disk_is_full_and_the_broker_lives_on(shaky: Unit, disk: Disk) -> None:
    with shaky.connect() as service, shaky.connect("roof") as roof:
        service.subscribe("sensors/#")
        disk.full = True
        roof.send(Publish("sensors/roof", b"lost?", 1, retain=True, packet_id=1))
        assert roof.is_closed()
        assert "disk is full" in shaky.problems.get(timeout=5)
        broker = shaky.broker
        assert broker is not None
        assert broker.failed_commits == 1
        assert "were not acknowledged" in str(broker.problem)
        disk.full = False
        with shaky.connect("roof") as again:
            again.publish("sensors/roof", b"sent again")
        service.expect(Publish("sensors/roof", b"sent again", 1, packet_id=2))
        assert service.subscribe("sensors/+") == (1,)
        assert service.hears_nothing()
        assert str(broker.problem) == "None"
    assert shaky.seen() == [b"sent again"]


def test_a_will_that_could_not_be_written_is_published_when_there_is_room_again(shaky: Unit, disk: Disk) -> None:
    with shaky.connect() as service:
        service.subscribe("sensors/#")
        roof = shaky.connect("roof", will=Message("sensors/roof", b"gone", 1))
        disk.full = True
        roof.socket.close()
        shaky.problems.get(timeout=5)
        disk.full = False
        message = service.receive()
        assert isinstance(message, Publish)
        assert message.payload == b"gone"
    assert shaky.seen() == [b"gone"]


def test_a_bug_in_the_collector_does_not_end_the_broker(shaky: Unit, disk: Disk) -> None:
    disk.bug = True
    with shaky.connect("roof") as roof:
        roof.send(Publish("sensors/roof", b"x", 1, packet_id=1))
        assert roof.is_closed()
    assert "ZeroDivisionError" in shaky.problems.get(timeout=5)
    disk.bug = False
    with shaky.connect("roof") as roof:
        roof.publish("sensors/roof", b"x")


def test_a_publisher_faster_than_the_disk_is_not_read_and_loses_nothing(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(unread_bytes=20_000))
    unit.add_device("roof")
    payload = b"x" * 10_000
    with unit.connect("roof", keep_alive_s=1) as roof:
        roof.socket.settimeout(0.5)
        burst = b"".join(encode(Publish("sensors/roof", payload, 1, packet_id=n)) for n in range(1, 2001))
        with another_writer(unit.file):
            sent = send_until_refused(roof.socket, burst)
            assert sent < len(burst)
            assert unit.broker is not None
            assert 20_000 < unit.broker._pending_bytes < 400_000
            time.sleep(1.6)  # its keep-alive must not run out while it is this side that does not read
        roof.socket.settimeout(5)
        reader = threading.Thread(target=roof.socket.sendall, args=(burst[sent:],))
        reader.start()
        roof.expect(*[Puback(n) for n in range(1, 2001)])
        reader.join()
    assert len(unit.seen()) == 2000


def test_a_subscriber_that_does_not_read_is_bounded_and_holds_up_nobody(serve: Callable[..., Unit]) -> None:
    unit = serve(limits=Limits(unsent_bytes=65_536, queued_messages=50))
    payload = b"x" * 50_000
    with unit.connect(client_id="slow") as slow, unit.connect(client_id="quick") as quick:
        assert slow.subscribe("status/#", qos=0) == (0,)
        assert slow.subscribe("alerts/#", qos=1) == (1,)
        started = time.monotonic()
        for n in range(300):
            quick.publish("status/x", payload, packet_id=n + 1)
            quick.publish("alerts/x", b"%d" % n, packet_id=n + 1)
        assert time.monotonic() - started < 10
        assert unit.broker is not None
        assert unit.broker._hub.dropped > 0
        links = list(unit.broker._links.values())
        assert max(link._transport.get_write_buffer_size() for link in links if link._transport) < 400_000
        newest: list[bytes] = []
        while not newest or newest[-1] != b"299":
            message = slow.receive()
            assert isinstance(message, Publish)
            if message.packet_id is not None:
                newest.append(message.payload)
                slow.send(Puback(message.packet_id))


def test_a_port_that_is_taken_is_one_clear_sentence(tmp_path: Path) -> None:
    class Nothing:
        def load(self) -> Any:
            from kit.broker.changes import Saved

            return Saved()

        def commit(self, changes: Sequence[Any], **_patience: object) -> None:
            del changes

        def sign_in(self, claim: Claim) -> Pass | None:
            del claim
            return None

        def marks(self) -> dict[str, Mark]:
            return {}

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = Broker(host="127.0.0.1", port=port, users=Nothing(), journal=Nothing(), clock=SystemClock())
        with pytest.raises(KitError, match=rf"127\.0\.0\.1:{port}: another program already does.*\[broker\]"):
            asyncio.run(broker.serve(asyncio.Event()))


def test_a_broker_that_is_stopped_writes_and_answers_what_it_has_received(shaky: Unit) -> None:
    with shaky.connect("roof") as roof:
        with another_writer(shaky.file):
            roof.send(Publish("sensors/roof", b"x", 1, packet_id=1))
            time.sleep(0.1)
            shaky.stop()
            time.sleep(0.2)
        roof.expect(Puback(1))
        assert roof.is_closed()
    assert shaky.seen() == [b"x"]


def send_until_refused(to: socket.socket, data: bytes) -> int:
    """How many bytes the other side takes before the socket's buffers are full."""
    sent = 0
    try:
        while sent < len(data):
            sent += to.send(data[sent : sent + 65536])
    except TimeoutError:
        pass
    return sent
