"""The bus over paho-mqtt: to the kit's own broker or to an existing Mosquitto.

Invariant: `publish` returns only after the PUBACK. The network runs on paho's thread, which also calls the listeners;
a listener that raises is logged and does not stop the others.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kit.bus import BusError, BusMessage

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo

KEEP_ALIVE_S = 30
RECONNECT_S = (1, 5)
"""First and longest pause between attempts, real seconds: the broker is on the same machine and soon back."""

WAITING_MESSAGES = 1_000
"""Messages paho keeps for the broker at most; what comes on top is an error for the caller, not a growing heap."""

SUBACK_S = 5.0
"""How long `subscribe` waits for the broker's answer, real seconds."""

FAILURE_CODE = 0x80

LEAVE_S = 0.5
"""How long the last word of a client that ends may take, real seconds."""

UP, GONE = b'{"state": "up"}', b'{"state": "gone"}'

_log = logging.getLogger(__name__)


class PahoBus:
    """An MQTT client that stays connected; a context manager.

    Args:
        host: of the broker.
        port: of the broker.
        username: as the broker knows it.
        password: of that user.
        client_id: names the connection; a second one under the same name takes over.
        presence: a topic that says, retained, whether this client lives: `{"state": "up"}`, else its last will `gone`.
    """

    def __init__(
        self, host: str, port: int, *, username: str, password: str, client_id: str, presence: str = ""
    ) -> None:
        self._presence = presence
        self._host, self._port = host, port
        self._username, self._password, self._client_id = username, password, client_id
        self._client: Client | None = None
        self._filters: list[str] = []
        self._connected = threading.Event()
        self._subscribing = threading.Lock()
        self._unanswered: dict[int, threading.Event] = {}
        self._pahos_thread = 0
        self._refusal = ""

    def __enter__(self) -> Self:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id)
        client.username_pw_set(self._username, self._password)
        client.reconnect_delay_set(*RECONNECT_S)
        client.max_queued_messages_set(WAITING_MESSAGES)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        if self._presence:
            client.will_set(self._presence, GONE, qos=1, retain=True)
        client.connect_async(self._host, self._port, keepalive=KEEP_ALIVE_S)
        client.loop_start()
        self._client = client
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            if self._presence and self.connected:
                # a client that takes its leave has no last will
                self._wait_quietly(client.publish(self._presence, GONE, qos=1, retain=True))
            client.disconnect()
            client.loop_stop()
        self._connected.clear()

    @property
    def connected(self) -> bool:
        """Whether the broker is there now and has taken the subscriptions."""
        return self._connected.is_set()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 5.0) -> None:
        """Publish at QoS 1 and wait (real seconds) for the acknowledgement.

        Raises:
            BusError: it was not acknowledged in time, or the broker does not let this user in.
        """
        self.publish_all([(topic, payload)], retain=retain, timeout_s=timeout_s)

    def publish_all(
        self, messages: Iterable[tuple[str, bytes]], *, retain: bool = False, timeout_s: float = 5.0
    ) -> None:
        """Publish many at QoS 1 without waiting for each, then wait for all acknowledgements.

        Args:
            messages: topics and payloads; at most `WAITING_MESSAGES`.
            retain: for all of them.
            timeout_s: for the connection, and again for each acknowledgement; real seconds.

        Raises:
            BusError: some were not acknowledged; nothing may be assumed about any of them.
        """
        client = self._wait_for_connection(timeout_s)
        try:
            sent = [client.publish(topic, payload, qos=1, retain=retain) for topic, payload in messages]
        except ValueError as error:  # paho: a wildcard in the topic, or a payload too long to be said in MQTT
            raise BusError(f"this cannot be published: {error}") from error
        for message in sent:
            self._wait_for_acknowledgement(message, timeout_s)

    def subscribe(self, topic_filter: str, on_message: Callable[[BusMessage], None]) -> None:
        """Listen at QoS 1; the callback runs on paho's thread. Survives reconnections.

        While connected, returns when the broker has taken the subscription, so that nothing published after it is
        missed; while not, it is made at the next connection, before `connected` becomes true.
        """

        def call(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
            try:
                on_message(BusMessage(message.topic, bytes(message.payload), bool(message.retain)))
            except Exception:  # noqa: BLE001 - a listener is somebody else's code on our thread
                _log.exception("a listener of %s failed on a message on %s", topic_filter, message.topic)

        if self._client is None:
            raise BusError("the bus is not open; use it as a context manager")
        self._client.message_callback_add(topic_filter, call)
        self._filters.append(topic_filter)
        if self.connected:
            answered = self._send_subscribe(self._client, topic_filter)
            if threading.get_ident() != self._pahos_thread:
                answered.wait(SUBACK_S)

    def _wait_for_connection(self, timeout_s: float) -> Client:
        client = self._client
        if client is None:
            raise BusError("the bus is not open; use it as a context manager")
        if not self._connected.wait(timeout_s):
            why = self._refusal or "nobody answers; is the broker running?"
            raise BusError(f"no connection to the broker at {self._host}:{self._port}: {why}")
        return client

    def _wait_for_acknowledgement(self, message: MQTTMessageInfo, timeout_s: float) -> None:
        try:
            message.wait_for_publish(timeout_s)
            acknowledged = message.is_published()
        except (RuntimeError, ValueError) as error:
            raise BusError(f"the broker at {self._host}:{self._port} did not take a message: {error}") from error
        if not acknowledged:
            raise BusError(
                f"the broker at {self._host}:{self._port} did not acknowledge a message within {timeout_s:g} s"
            )

    def _wait_quietly(self, message: MQTTMessageInfo) -> None:
        with contextlib.suppress(RuntimeError, ValueError):
            message.wait_for_publish(LEAVE_S)

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"it refuses the user '{self._username}' ({reason})"
            _log.warning("the broker at %s:%s refuses %s: %s", self._host, self._port, self._username, reason)
            return
        self._refusal = ""
        self._pahos_thread = threading.get_ident()
        self._unanswered.clear()
        if self._presence:
            client.publish(self._presence, UP, qos=1, retain=True)
        for topic_filter in list(self._filters):
            self._send_subscribe(client, topic_filter)
        if not self._unanswered:
            self._connected.set()

    def _send_subscribe(self, client: Client, topic_filter: str) -> threading.Event:
        answered = threading.Event()
        with self._subscribing:
            _, packet_id = client.subscribe(topic_filter, qos=1)
            if packet_id is None:  # the connection has just gone; the next one makes it
                answered.set()
            else:
                self._unanswered[packet_id] = answered
        return answered

    def _on_disconnect(self, _client: Client, _userdata: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self._connected.clear()

    def _on_subscribe(self, _client: Client, _userdata: Any, mid: int, reasons: list[Any], _properties: Any) -> None:
        if any(reason.value >= FAILURE_CODE for reason in reasons):
            _log.error("the broker does not let '%s' listen to one of %s", self._username, ", ".join(self._filters))
        with self._subscribing:
            answered = self._unanswered.pop(mid, None)
        if answered is not None:
            answered.set()
        if not self._unanswered:
            self._connected.set()
