"""A trial kit with its real broker on loopback, and real MQTT clients (paho) that speak to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from kit.broker.listening import Listener
from kit.broker.server import Broker
from kit.collect.dialects import dialects
from kit.collect.ingest import Ingest
from kit.model.places import Place
from kit.store.device_users import DeviceUsers
from kit.store.devices import add_device
from kit.store.mqtt import MqttJournal
from village_apps.web.trial import TrialKit

PATIENCE_S = 10.0


class NotLetInError(Exception):
    """The broker refused a sign-in."""


@dataclass
class Door:
    """Where the broker listens."""

    kit: TrialKit
    port: int = 0
    passwords: dict[str, str] = field(default_factory=dict)
    broker: Broker | None = None

    @property
    def open_port(self) -> int:
        """Of the listener for devices without a password."""
        assert self.broker is not None
        return self.broker.addresses["open_listen"][1]

    def let_in(self, name: str, kind: str, *, base: str = "", place: str = "") -> None:
        """As `kit device add` does it."""
        dialect = dialects()[kind]
        grants = dialect.grants(base or dialect.base(name))
        with self.kit.store() as database, database.atomic() as connection:
            made = add_device(
                connection, name, kind=kind, base=base, grants=grants, place=Place(place), now_ms=self.kit.now_ms
            )
        self.passwords[name] = made.password

    @contextmanager
    def client(
        self, username: str, *, client_id: str = "", password: str | None = None, port: int = 0, v5: bool = False
    ) -> Iterator[Client]:
        """A paho client that has signed in."""
        version = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id or username, protocol=version)
        if username:
            client.username_pw_set(username, self.passwords[username] if password is None else password)
        connected = threading.Event()
        refused: list[bool] = []

        def answered(*told: Any) -> None:
            refused.append(told[3].is_failure)
            connected.set()

        client.on_connect = answered
        client.connect("127.0.0.1", port or self.port)
        client.loop_start()
        try:
            if not connected.wait(PATIENCE_S) or refused[0]:
                raise NotLetInError(username or client_id)
            yield client
        finally:
            client.disconnect()
            client.loop_stop()

    def publish(self, username: str, messages: Sequence[tuple[str, str]], **how: Any) -> None:
        """Publish at QoS 1 and wait for every acknowledgement."""
        with self.client(username, **how) as client:
            for topic, payload in messages:
                client.publish(topic, payload.encode(), qos=1).wait_for_publish(PATIENCE_S)


@contextmanager
def broker_of(kit: TrialKit) -> Iterator[Door]:
    """The kit's broker, in a thread, into the kit's own store."""
    door, ready = Door(kit), threading.Event()
    stop: list[asyncio.Event] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        stop.append(asyncio.Event())
        loops.append(asyncio.get_running_loop())

        def listening(address: tuple[str, int]) -> None:
            door.port = address[1]
            ready.set()

        with kit.store() as store, kit.store() as table:
            broker = Broker(
                host="127.0.0.1",
                port=0,
                users=DeviceUsers(table, services={"kit-test": "service"}, clock=kit.clock),
                journal=MqttJournal(store, ingest=Ingest(kit.clock)),
                clock=kit.clock,
                more=[Listener(host="127.0.0.1", port=0, setting="open_listen", open=True)],
            )
            door.broker = broker
            door.passwords["kit-test"] = "service"
            await broker.serve(stop[0], ready=listening)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield door
    finally:
        loops[0].call_soon_threadsafe(stop[0].set)
        thread.join(PATIENCE_S)


class Ear:
    """Notes what a client is sent."""

    def __init__(self, client: Client) -> None:
        self.heard: list[tuple[str, bytes]] = []
        client.on_message = self._note

    def _note(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))
