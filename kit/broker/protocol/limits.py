"""How much of everything the broker takes. Every length on the wire and every queue behind it has a limit here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits per packet, per connection, per session and for the whole broker.

    Attributes:
        packet_bytes: a whole packet of an accepted client: 1 MiB of payload (what gateways say of a hundred devices)
            and 64 KiB for the rest.
        connect_bytes: a CONNECT; small, because anybody may send one.
        topic_bytes: a topic name or filter in UTF-8.
        topic_levels: its levels, so that matching stays quick.
        client_id_bytes: a client identifier.
        credential_bytes: a user name, and a password.
        connect_timeout_s: from the TCP connection to the CONNECT, real seconds.
        subscriptions_per_packet: filters in one SUBSCRIBE or UNSUBSCRIBE.
        subscriptions_per_session: filters a session may hold.
        sessions_per_user: sessions of one user, connected or kept.
        inflight: messages sent to a client and not yet acknowledged by it.
        queued_messages: messages waiting for one session; the oldest unsent one makes room.
        queued_bytes: the same, counted as topic and payload bytes.
        queued_bytes_in_all: the same for all sessions together; the largest queue makes room.
        received_ids: QoS 2 packet ids a client may leave without PUBREL.
        receive_maximum: QoS 1 and 2 messages an MQTT 5 client may have unacknowledged.
        property_bytes: the properties of an MQTT 5 packet.
        user_properties: of these, the number of user properties.
        topic_aliases: topics that a client, and the broker towards a client, may abbreviate.
        keep_alive_s: the longest keep-alive of an MQTT 5 client, in seconds; who asks for more is told this.
        retained_per_user: topics one user may keep a retained message on.
        retained_bytes_per_user: the same, counted as topic and payload bytes.
        connections: open connections.
        connections_unauthenticated: of these, not yet signed in; one address may hold half of them. The one that has
            waited longest makes room, for who is honest does not wait.
        unread_bytes: bytes a client may have on the way to the disk before its socket is no longer read.
        unfinished_bytes: of packets that have begun to come in, for all clients together; beyond it, who is in the
            middle of a large one is disconnected.
        unsent_bytes: bytes in a client's socket buffer above which QoS 0 messages to it are dropped.
        blocked_s: real seconds for which a client may leave that much unread before it is disconnected.
        batch: packets that go into one transaction.
    """

    packet_bytes: int = 1_114_112
    connect_bytes: int = 16_384
    topic_bytes: int = 512
    topic_levels: int = 16
    client_id_bytes: int = 128
    credential_bytes: int = 256
    connect_timeout_s: float = 10.0
    subscriptions_per_packet: int = 64
    subscriptions_per_session: int = 256
    sessions_per_user: int = 32
    inflight: int = 20
    queued_messages: int = 1_000
    queued_bytes: int = 4_194_304
    queued_bytes_in_all: int = 25_165_824
    received_ids: int = 256
    receive_maximum: int = 256
    property_bytes: int = 16_384
    user_properties: int = 64
    topic_aliases: int = 32
    keep_alive_s: int = 3_600
    retained_per_user: int = 500
    retained_bytes_per_user: int = 2_097_152
    connections: int = 800
    connections_unauthenticated: int = 600
    unread_bytes: int = 524_288
    unfinished_bytes: int = 16_777_216
    unsent_bytes: int = 1_048_576
    blocked_s: float = 60.0
    batch: int = 1_000
