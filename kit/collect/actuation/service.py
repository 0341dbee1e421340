"""Sends commands to actuators, renews their leases, and writes down what they say: a job of the collect process.

What must survive a kill is in the ledger: who asked for what, and since when the device holds it. Within the same boot
a new process goes on renewing; after a reboot every device has long been in its safe state, and the ledger says so.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from kit.bus import Bus, BusError, BusMessage
from kit.clock import Clock
from kit.collect.actuation.speech import Actuator, answers_on, listen, tell
from kit.model.commands import LEASE_S, RETRY_S, Ack, Command, CommandState, Send, end, hear, step
from kit.store import commands as ledger
from kit.store.database import Database
from kit.store.devices import Device, list_devices

log = logging.getLogger(__name__)

LOOK_S = 0.1
"""Real seconds between two looks for a new command."""

SHORTEST_LEASE_REAL_S = 6.0
"""However fast a simulated clock runs, a lease spans several round trips of real messages."""

SEND_TIMEOUT_S = 2.0

FIRST = "1"
"""What a relay's own dialect calls its only output."""


class ActuatorService:
    """Belongs to one thread.

    Args:
        database: the kit's store, open.
        clock: counts leases in kit seconds since boot.
        bus: the MQTT client.
        look_s: real seconds between two looks for a new command.
        shortest_lease_s: real seconds; no lease is shorter, however fast the clock runs.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        bus: Bus,
        *,
        look_s: float = LOOK_S,
        shortest_lease_s: float = SHORTEST_LEASE_REAL_S,
    ) -> None:
        self._database, self._clock, self._bus = database, clock, bus
        self._live: dict[str, Command] = {}
        self._heard: queue.SimpleQueue[tuple[Actuator, bytes]] = queue.SimpleQueue()
        self._listening: dict[str, Actuator] = {}
        real_s = clock.real(1.0) or 1.0
        self._lease_s = max(LEASE_S, shortest_lease_s / real_s)
        self._retry_s = max(RETRY_S, shortest_lease_s / 6 / real_s)
        self._look_s = look_s
        self._problem = ""
        self._version: int | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        self._resume()
        while not stop.is_set():
            self.step()
            stop.wait(self._look_s)

    def step(self) -> None:
        """Take new commands, hear the devices, send what is due."""
        self._take_new()
        self._hear()
        for command in list(self._live.values()):
            self._advance(command)

    def _resume(self) -> None:
        for row in ledger.live(self._database.connection):
            command = row.command
            if row.boot != self._clock.boot:
                why = "the unit was started anew; the device went to its safe state when its lease ran out"
                self._save(replace(command, state=CommandState.FAILED, why=why))
            elif command.state is not CommandState.ASKED:
                # it may have been renewed just before: give it a lease to answer in
                self._live[command.id] = replace(command, heard_s=self._clock.monotonic())

    def _take_new(self) -> None:
        version = self._database.changed_elsewhere()
        if version == self._version:
            return
        self._version = version
        for row in ledger.live(self._database.connection):
            held = self._live.setdefault(row.command.id, row.command)
            if row.end_asked == ledger.REPLACED:
                # the next command tells the device; an "off" in between would only close and open it again
                self._keep(held, replace(held, state=CommandState.ENDED, why="something else was asked of it"))
            elif row.end_asked and held.state is not CommandState.RELEASING:
                self._keep(held, end(held, "it was withdrawn"))

    def _hear(self) -> None:
        while True:
            try:
                actuator, payload = self._heard.get_nowait()
            except queue.Empty:
                return
            for ack in listen(actuator, payload):
                self._take_ack(ack)

    def _take_ack(self, ack: Ack) -> None:
        now_s = self._clock.monotonic()
        for command in list(self._live.values()):
            if command.device != ack.device or (ack.id and ack.id != command.id):
                continue
            if not ack.id and (command.output or FIRST) != (ack.output or FIRST):
                continue
            self._keep(command, hear(command, ack, now_s))

    def _advance(self, command: Command) -> None:
        after, send = step(command, self._clock.monotonic(), lease_s=self._lease_s, retry_s=self._retry_s)
        if send is not None:
            actuator = self._actuator(command.device)
            if actuator is None:
                why = f"there is no device named '{command.device}' any more"
                after = replace(command, state=CommandState.FAILED, why=why)
            else:
                self._send(actuator, send)
        self._keep(command, after)

    def _send(self, actuator: Actuator, send: Send) -> None:
        try:
            for topic_filter in answers_on(actuator):
                if topic_filter not in self._listening:
                    self._listening[topic_filter] = actuator
                    self._bus.subscribe(topic_filter, self._listener(actuator))
            for topic, payload in tell(actuator, send):
                self._bus.publish(topic, payload, timeout_s=SEND_TIMEOUT_S)
            self._problem = ""
        except BusError as error:
            if str(error) != self._problem:
                log.warning("a command to %s could not be sent: %s", actuator.name, error)
            self._problem = str(error)

    def _listener(self, actuator: Actuator) -> Callable[[BusMessage], None]:
        def take(message: BusMessage) -> None:
            if not message.retained:  # an old word says nothing about now
                self._heard.put((actuator, message.payload))

        return take

    def _actuator(self, name: str) -> Actuator | None:
        found: Device | None = next(
            (device for device in list_devices(self._database.connection) if device.name == name), None
        )
        return None if found is None else Actuator(found.name, found.kind, found.base or found.name)

    def _keep(self, before: Command, after: Command) -> None:
        if after.over:
            self._live.pop(after.id, None)
        else:
            self._live[after.id] = after
        if (before.state, before.why, before.acked_s) != (after.state, after.why, after.acked_s):
            self._save(after)

    def _save(self, command: Command) -> None:
        log.info("%s %s: %s %s", command.device, command.output, command.state, command.why)
        with self._database.atomic() as connection:
            ledger.save(connection, command, now_ms=int(self._clock.now() * 1000))
