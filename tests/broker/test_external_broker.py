"""An existing Mosquitto, a real one: nothing is acknowledged to it before it is in the store."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from ports import free_ports

from kit.broker.changes import Change, Fact, Saved
from kit.broker.external import EXTERNAL_PROMISE, ExternalBroker
from kit.broker.ports import JournalError
from kit.clock import SystemClock
from kit.model.messages import Published

pytestmark = pytest.mark.skipif(
    shutil.which("mosquitto") is None, reason="Mosquitto is not installed; script/test installs it"
)


class Shelf:
    """A journal that keeps messages in a list and can be full."""

    def __init__(self) -> None:
        self.full = False
        self.kept: list[Published] = []

    def load(self) -> Saved:
        return Saved()

    def commit(self, changes: Sequence[Change | Fact], **_patience: object) -> None:
        if self.full:
            raise JournalError("database or disk is full")
        self.kept += [change for change in changes if isinstance(change, Published)]


class Mosquitto:
    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n")

    def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", self._config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "mosquitto does not start"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def publish(self, topic: str, *payloads: str, retain: bool = False) -> None:
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic, "-l"]
        subprocess.run([*command, *(["-r"] if retain else [])], input="\n".join(payloads), text=True, check=True)


class Kit:
    """The external broker's client, running in a thread."""

    def __init__(self, port: int, shelf: Shelf) -> None:
        self.problems: list[str] = []
        self.client = ExternalBroker(
            host="127.0.0.1",
            port=port,
            username="",
            password="",
            client_id="kit-collect",
            journal=shelf,
            clock=SystemClock(),
            topics=("sensors/#", "tele/+/#", "homeassistant/#"),
            lasting=lambda topic: topic.endswith("/config"),
            on_problem=self.problems.append,
        )
        self.ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._stop: Callable[[], object] = lambda: None
        self._thread.start()

    async def _serve(self) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stop.set)

        def ready(_address: tuple[str, int]) -> None:
            self.ready.set()

        await self.client.serve(stop, ready=ready)

    def stop(self) -> None:
        self._stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def kit(mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]) -> Iterator[Kit]:
    made = Kit(mosquitto.port, shelf)
    assert made.ready.wait(30)

    def listens() -> bool:
        """Nobody outside sees the SUBACK of its subscription, but what is published after it arrives."""
        mosquitto.publish("sensors/probe", "listens?")
        return bool(shelf.kept)

    assert eventually(listens)
    mosquitto.publish("sensors/probe", "it does")
    assert eventually(lambda: shelf.kept[-1].payload == b"it does")
    shelf.kept.clear()
    yield made
    made.stop()


def test_readings_reach_the_store_with_the_devices_name(
    kit: Kit, mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    mosquitto.publish("sensors/roof/a", *[str(n) for n in range(200)])
    assert eventually(lambda: len(shelf.kept) == 200)
    assert [p.payload for p in shelf.kept] == [b"%d" % n for n in range(200)]
    assert (shelf.kept[0].username, shelf.kept[0].qos) == ("roof", 1)


def test_readings_wait_at_the_broker_while_the_kit_is_away(
    kit: Kit, mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    kit.stop()
    mosquitto.publish("sensors/roof", "1", "2", "3")
    again = Kit(mosquitto.port, shelf)
    try:
        assert eventually(lambda: [p.payload for p in shelf.kept] == [b"1", b"2", b"3"])
    finally:
        again.stop()


def test_what_could_not_be_written_is_not_acknowledged_and_comes_again(
    kit: Kit, mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    shelf.full = True
    mosquitto.publish("sensors/roof", "1", "2")
    assert eventually(lambda: "disk is full" in " ".join(kit.problems))
    kit.stop()  # as if killed: the messages were in its memory only
    shelf.full = False
    again = Kit(mosquitto.port, shelf)
    try:
        assert eventually(lambda: [p.payload for p in shelf.kept] == [b"1", b"2"])
        assert all(p.duplicate for p in shelf.kept)
    finally:
        again.stop()


def test_a_disk_that_has_room_again_gets_what_waited(
    kit: Kit, mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    shelf.full = True
    mosquitto.publish("sensors/roof", "1")
    assert eventually(lambda: kit.problems)
    shelf.full = False
    assert eventually(lambda: [p.payload for p in shelf.kept] == [b"1"])
    assert eventually(lambda: kit.client.problem is None)


def test_a_retained_message_of_unknown_age_is_not_taken_for_a_reading(
    mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    mosquitto.publish("sensors/roof", "old", retain=True)
    kit = Kit(mosquitto.port, shelf)
    try:
        assert kit.ready.wait(5)
        mosquitto.publish("sensors/roof", "new")
        assert eventually(lambda: [p.payload for p in shelf.kept] == [b"new"])
    finally:
        kit.stop()


def test_the_kit_says_so_when_the_broker_is_gone_and_finds_it_again(
    kit: Kit, mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    mosquitto.stop()
    assert eventually(lambda: kit.client.problem is not None)
    mosquitto.start()
    assert kit.client.connected.wait(10)
    mosquitto.publish("sensors/roof", "1")
    assert eventually(lambda: [p.payload for p in shelf.kept] == [b"1"])


def test_the_weaker_promise_is_said_in_one_breath() -> None:
    assert "acknowledged reading can be lost" in EXTERNAL_PROMISE


def test_devices_of_other_kinds_are_taken_and_their_descriptions_wait_at_the_broker(
    mosquitto: Mosquitto, shelf: Shelf, eventually: Callable[..., bool]
) -> None:
    mosquitto.publish("homeassistant/sensor/x/config", "announced", retain=True)
    mosquitto.publish("tele/pump/STATE", "old", retain=True)
    made = Kit(mosquitto.port, shelf)
    try:
        assert made.ready.wait(5)
        assert eventually(lambda: [p.payload for p in shelf.kept] == [b"announced"])
        mosquitto.publish("tele/pump/SENSOR", "new")
        assert eventually(lambda: len(shelf.kept) == 2)
    finally:
        made.stop()
    assert [(p.payload, p.username) for p in shelf.kept] == [(b"announced", ""), (b"new", "")]
