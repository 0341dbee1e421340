"""A device made with an MQTT library: `library_device.py LIBRARY VERSION PORT PASSWORD`, as a process to be killed.

It signs in as `roof` with a kept session and a will, subscribes to its commands, publishes at every QoS and one
retained message, says READY and whether its session was there, and GOT for every message. So do `library_device.mjs`
and, with its own programs, the Mosquitto test.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

CLIENT_ID, USER = "library", "roof"
COMMANDS = "commands/roof/#"
WILL = ("sensors/roof/alive", b"gone")
STATE = ("sensors/roof/state", b"on")
KEPT_S = 600


def say(*words: object) -> None:
    """To the test."""
    print(*words, flush=True)


def paho(version: int, port: int, password: str) -> None:
    """paho-mqtt, which the kit's own services use."""
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    five = version == 5
    protocol = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
    client = Client(CallbackAPIVersion.VERSION2, CLIENT_ID, clean_session=None if five else False, protocol=protocol)
    client.username_pw_set(USER, password)
    client.will_set(*WILL, qos=1, retain=True)
    connected, present = threading.Event(), []

    def on_connect(_client: Client, _data: Any, flags: Any, *_more: Any) -> None:
        present.append(flags.session_present)
        connected.set()

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        say("GOT", message.topic, message.payload.decode(), message.qos)

    client.on_connect, client.on_message = on_connect, on_message
    if five:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's has no types
        properties.SessionExpiryInterval = KEPT_S
        client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    else:
        client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    client.subscribe(COMMANDS, 2)
    for qos in range(3):
        client.publish(f"sensors/roof/{qos}", f"q{qos}", qos).wait_for_publish(10)
    client.publish(*STATE, qos=1, retain=True).wait_for_publish(10)
    say("READY", int(present[0]))
    threading.Event().wait()


async def aiomqtt(version: int, port: int, password: str) -> None:
    """aiomqtt, as ESPHome's and Home Assistant's relatives use it."""
    from aiomqtt import Client, ProtocolVersion, Will
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    more: dict[str, Any] = {"protocol": ProtocolVersion.V311, "clean_session": False}
    if version == 5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's has no types
        properties.SessionExpiryInterval = KEPT_S
        more = {"protocol": ProtocolVersion.V5, "clean_start": False, "properties": properties}
    will = Will(*WILL, qos=1, retain=True)
    async with Client(
        "127.0.0.1", port, username=USER, password=password, identifier=CLIENT_ID, will=will, **more
    ) as client:
        await client.subscribe(COMMANDS, 2)
        for qos in range(3):
            await client.publish(f"sensors/roof/{qos}", f"q{qos}", qos)
        await client.publish(*STATE, qos=1, retain=True)
        say("READY", "?")  # the library does not tell whether the session was there
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            say("GOT", message.topic.value, message.payload.decode(), message.qos)


async def gmqtt(version: int, port: int, password: str) -> None:
    """gmqtt, an implementation of MQTT 5 of its own."""
    from gmqtt import Client, Message
    from gmqtt.mqtt.constants import MQTTv50, MQTTv311

    # it says its session expiry under MQTT 5 only
    more = {"session_expiry_interval": KEPT_S} if version == 5 else {}
    will = Message(WILL[0], WILL[1], qos=1, retain=True)
    client = Client(CLIENT_ID, clean_session=False, will_message=will, **more)
    client.set_auth_credentials(USER, password)
    subscribed = asyncio.Event()
    present: list[int] = []

    def on_connect(_client: Client, flags: int, *_more: Any) -> None:
        present.append(flags & 1)

    def on_message(_client: Client, topic: str, payload: bytes, qos: int, _properties: Any) -> int:
        say("GOT", topic, payload.decode(), qos)
        return 0

    client.on_connect, client.on_message = on_connect, on_message
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect("127.0.0.1", port, version=MQTTv50 if version == 5 else MQTTv311)
    client.subscribe(COMMANDS, 2)
    await subscribed.wait()
    for qos in range(3):
        client.publish(f"sensors/roof/{qos}", f"q{qos}", qos)
    client.publish(*STATE, qos=1, retain=True)
    await asyncio.sleep(0.3)
    say("READY", present[0])
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = (int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    if sys.argv[1] == "paho":
        paho(*arguments)
    asynchronous: dict[str, Callable[..., Any]] = {"aiomqtt": aiomqtt, "gmqtt": gmqtt}
    asyncio.run(asynchronous[sys.argv[1]](*arguments))
