"""An existing Mosquitto instead of the kit's broker: the kit is its client and acknowledges after the commit.

Between Mosquitto and the store nothing is lost: the session is persistent, deliveries are QoS 1, and the PUBACK goes
out by hand after the transaction. What the kit cannot promise is the way before: see `EXTERNAL_PROMISE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.broker.ports import Journal, JournalError
from kit.clock import Clock
from kit.errors import KitError
from kit.model.messages import Published

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

EXTERNAL_PROMISE = (
    "An external broker acknowledges a reading to its sensor before the kit has it on disk: if that broker or the "
    "power dies at that moment, an acknowledged reading can be lost, and who may publish what is that broker's affair. "
    "The kit's own broker acknowledges only what is on disk. Mosquitto as it comes lost all that waited when it was "
    "killed; as `kit broker mosquitto-config` sets it up, only the last messages before that."
)

NATIVE_TOPICS = ("sensors/#",)
KEEP_ALIVE_S = 30
RECONNECT_S = (1, 10)
RETRY_S = 1.0
"""Between attempts to write a batch that could not be written, real seconds."""

LOOK_EVERY_S = 0.2
"""How often the writer looks whether it has to stop, real seconds."""

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A message with what is needed to acknowledge it; `connection` counts reconnections."""

    published: Published
    qos: int
    packet_id: int
    connection: int


class ExternalBroker:
    """Takes the readings that devices publish at an existing broker.

    Args:
        host: of the existing broker.
        port: of the existing broker.
        username: the kit's user there; "" = none.
        password: of that user.
        client_id: names the persistent session there; keep it the same for ever.
        journal: its `commit` gets the messages.
        clock: dates what comes in.
        topics: what it takes, as topic filters.
        lasting: says of a topic that its retained message is as good as a new one (a device's own description).
        on_problem: called with a sentence for the technician, on any thread.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        password: str,
        client_id: str,
        journal: Journal,
        clock: Clock,
        topics: Sequence[str] = NATIVE_TOPICS,
        lasting: Callable[[str], bool] = lambda _topic: False,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        self._topics, self._lasting = tuple(topics), lasting
        self._host, self._port = host, port
        self._username, self._password, self._client_id = username, password, client_id
        self._journal, self._clock, self._on_problem = journal, clock, on_problem
        self._deliveries: queue.SimpleQueue[_Delivery] = queue.SimpleQueue()
        self._connections = 0
        self._stop = threading.Event()
        self.connected = threading.Event()
        self.problem: str | None = None
        """What is wrong now, for the technician."""

    async def serve(self, stop: asyncio.Event, *, ready: Callable[[tuple[str, int]], None] | None = None) -> None:
        """Take readings until `stop` is set.

        Args:
            stop: ends it.
            ready: called with the broker's address at the first connection.

        Raises:
            KitError: the host name cannot be used.
        """
        client = self._make_client()
        writer = threading.Thread(target=self._write, args=(client,), name="external-broker-journal", daemon=True)
        try:
            client.connect_async(self._host, self._port, keepalive=KEEP_ALIVE_S)
        except ValueError as error:
            raise KitError(f"external = '{self._host}:{self._port}' below [broker] cannot be used: {error}") from error
        writer.start()
        client.loop_start()
        stopping = asyncio.create_task(stop.wait())
        try:
            while not self.connected.is_set() and not stopping.done():
                await asyncio.wait([stopping], timeout=LOOK_EVERY_S)
            if ready is not None and not stopping.done():
                ready((self._host, self._port))
            await stopping
        finally:
            stopping.cancel()
            self._stop.set()
            await asyncio.to_thread(writer.join)
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _make_client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, clean_session=False, manual_ack=True)
        if self._username:
            client.username_pw_set(self._username, self._password)
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    # --- on paho's thread

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report(f"the external broker {self._host}:{self._port} refuses the kit ({reason}); see [broker]")
            return
        self._connections += 1
        self.problem = None
        # also when the session was kept: a Mosquitto that lost its file would otherwise deliver nothing for ever
        client.subscribe([(wanted, 1) for wanted in self._topics])

    def _on_subscribe(self, _client: Client, _userdata: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._report(
                f"the external broker does not let '{self._username}' subscribe to all of "
                f"{', '.join(self._topics)}; see its ACL"
            )
        else:
            self.connected.set()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        self._report(f"the external broker {self._host}:{self._port} does not answer; is it running?")

    def _on_disconnect(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected.clear()
        if not self._stop.is_set():
            self._report(f"the connection to the external broker {self._host}:{self._port} is lost ({reason})")

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.retain and not self._lasting(message.topic):
            # an old state of unknown age, repeated at every subscription: no reading of now
            client.ack(message.mid, message.qos)
            return
        published = Published(
            # who it was only that broker knows; of the kit's own topics the second level says it
            username=message.topic.split("/")[1] if message.topic.startswith("sensors/") else "",
            client_id=self._client_id,
            topic=message.topic,
            payload=bytes(message.payload),
            qos=message.qos,
            retain=False,
            duplicate=message.dup,
            packet_id=message.mid or None,
            received_ms=int(self._clock.now() * 1000),
        )
        self._deliveries.put(_Delivery(published, message.qos, message.mid, self._connections))

    # --- on the writer's thread

    def _write(self, client: Client) -> None:
        while not self._stop.is_set():
            batch = self._next_batch()
            while batch and not self._commit(batch):
                if self._stop.wait(RETRY_S):
                    return
            for delivery in batch:
                # a packet id of an earlier connection may mean another message by now
                if delivery.qos and delivery.connection == self._connections:
                    client.ack(delivery.packet_id, delivery.qos)

    def _next_batch(self) -> list[_Delivery]:
        batch: list[_Delivery] = []
        with contextlib.suppress(queue.Empty):
            batch.append(self._deliveries.get(timeout=LOOK_EVERY_S))
            while len(batch) < BATCH:
                batch.append(self._deliveries.get_nowait())
        return batch

    def _commit(self, batch: list[_Delivery]) -> bool:
        try:
            self._journal.commit([delivery.published for delivery in batch])
        except JournalError as error:
            self._report(f"readings could not be written to disk and were not acknowledged: {error}")
            return False
        if self.connected.is_set():
            self.problem = None
        return True

    def _report(self, problem: str) -> None:
        if problem != self.problem and self._on_problem is not None:
            self._on_problem(problem)
        self.problem = problem
