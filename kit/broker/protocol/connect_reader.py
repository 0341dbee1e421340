"""CONNECT (3.1): the packet that anybody may send, and that says in which version the conversation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kit.broker.protocol.body import Body
from kit.broker.protocol.errors import MalformedPacket, UnacceptableVersion
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import MAX_PACKETS, V3, V5, Connect, Message
from kit.broker.protocol.properties import IN_CONNECT, IN_WILL, Prop, read_message_properties, read_properties
from kit.broker.protocol.reasons import Reason

MAX_QOS = 2


class TopicReader(Protocol):
    """Takes a topic name from a packet."""

    def __call__(self, body: Body, limits: Limits, what: str = ...) -> str:
        """Checked against section 4.7 and the limits."""
        ...


def read_connect(body: Body, limits: Limits, *, topic: TopicReader, version_found: Callable[[int], object]) -> Connect:
    """Take a CONNECT; `version_found` is told the version before anything else can go wrong.

    Raises:
        RemoteProtocolError: there is something wrong with it.
    """
    version = _version(body, version_found)
    flags = body.number(1, "the connect flags")
    _check_flags(flags, version)
    keep_alive_s = body.number(2, "the keep-alive")
    found = read_properties(body, IN_CONNECT, limits) if version == V5 else {}
    if Prop.AUTH_DATA in found and Prop.AUTH_METHOD not in found:
        raise MalformedPacket("authentication data without a method (3.1.2.11.10)", reason=Reason.PROTOCOL_ERROR)
    client_id = body.text("the client id", limit=limits.client_id_bytes, reason=Reason.CLIENT_ID_NOT_VALID)
    will, will_found = _will(body, flags, limits, topic, version) if flags & 0x04 else (None, {})
    username = body.text("the user name", limit=limits.credential_bytes) if flags & 0x80 else None
    password = body.binary("the password", limit=limits.credential_bytes) if flags & 0x40 else None
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 0x02),
        keep_alive_s=keep_alive_s,
        username=username,
        password=password,
        will=will,
        version=version,
        session_expiry_s=found.get(Prop.SESSION_EXPIRY, 0),
        receive_maximum=found.get(Prop.RECEIVE_MAXIMUM, MAX_PACKETS),
        packet_bytes=found.get(Prop.MAXIMUM_PACKET_SIZE),
        topic_alias_maximum=found.get(Prop.TOPIC_ALIAS_MAXIMUM, 0),
        problem_information=bool(found.get(Prop.REQUEST_PROBLEM, 1)),
        auth_method=found.get(Prop.AUTH_METHOD),
        will_delay_s=will_found.get(Prop.WILL_DELAY, 0),
        will_expiry_s=will_found.get(Prop.MESSAGE_EXPIRY),
    )


def _version(body: Body, version_found: Callable[[int], object]) -> int:
    name = body.binary("the protocol name", limit=6)
    level = body.number(1, "the protocol level")
    if name != b"MQTT":
        if name == b"MQIsdp":
            raise UnacceptableVersion("the client speaks MQTT 3.1; this broker speaks 3.1.1 (level 4) and 5 (level 5)")
        raise MalformedPacket(f"{name!r} is not the protocol name MQTT [MQTT-3.1.2-1]")
    if level >= V5:
        version_found(V5)
    if level not in {V3, V5}:
        raise UnacceptableVersion(
            f"the client speaks protocol level {level}; this broker speaks MQTT 3.1.1 (level 4) and 5 (level 5)"
        )
    version_found(level)
    return level


def _check_flags(flags: int, version: int) -> None:
    if flags & 0x01:
        raise MalformedPacket("the reserved connect flag is set [MQTT-3.1.2-3]")
    if flags & 0x40 and not flags & 0x80 and version == V3:
        raise MalformedPacket("a password without a user name [MQTT-3.1.2-22]")
    if not flags & 0x04 and flags & 0x38:
        raise MalformedPacket("will QoS or will retain without a will [MQTT-3.1.2-13, -15]")
    if flags >> 3 & 3 > MAX_QOS:
        raise MalformedPacket("will QoS 3 [MQTT-3.1.2-14]")


def _will(body: Body, flags: int, limits: Limits, topic: TopicReader, version: int) -> tuple[Message, dict[int, Any]]:
    found, passed = read_message_properties(body, IN_WILL, limits) if version == V5 else ({}, b"")
    name = topic(body, limits, "the will topic")
    payload = body.binary("the will message", limit=limits.connect_bytes)
    return Message(name, payload, flags >> 3 & 3, bool(flags & 0x20), passed), found
