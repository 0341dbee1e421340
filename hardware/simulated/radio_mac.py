"""What a simulated radio's firmware does with packets: queue, listen before talk, acknowledge, repeat, count airtime.

Sans-IO: packets and time come in; packets go out to the air and, through `to_client`, to whoever holds the radio's
stream. Follows Meshtastic's firmware: `Router::send` (size, duty cycle), `MeshPacketQueue` (sixteen slots, by
priority), `RadioLibInterface` (back-off), `ReliableRouter` (three transmissions at most, then MAX_RETRANSMIT).

Left out: repeating other nodes' packets. The implicit acknowledgement of a broadcast, which a real radio takes from
hearing its packet repeated, is given when any other radio received it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtastic.protobuf import mesh_pb2, portnums_pb2

from hardware.simulated import radio_phy
from hardware.simulated.air import Air, Tuning

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

BROADCAST = 0xFFFFFFFF
QUEUE_SLOTS = 16  # MAX_TX_QUEUE
MAX_TRANSMISSIONS = 3  # NUM_RELIABLE_RETX
REMEMBERED_PACKETS = 256
"""How many (sender, id) pairs a radio remembers, not to deliver a packet twice."""

OK, ERRNO_UNKNOWN, ERRNO_DISABLED = 0, 32, 34
"""`queueStatus.res` beside the values of Routing.Error (the firmware's `ErrorCode`)."""

ROUTING_APP: int = portnums_pb2.PortNum.ROUTING_APP
Routing = mesh_pb2.Routing


@dataclass
class Queued:
    """A packet that waits for the air."""

    packet: Any
    phy_bytes: int


@dataclass
class Pending:
    """A packet whose acknowledgement is awaited; `attempt` tells old timers from the current one."""

    packet: Any
    transmissions: int = 0
    attempt: int = 0


@dataclass
class RadioMac:
    """One radio's link layer.

    Attributes:
        number: its place on the air, from 0.
        node: its node number.
        to_client: takes each MeshPacket meant for the client.
        tx_enabled: False while the region is unset or transmitting is switched off.
    """

    number: int
    node: int
    air: Air
    tuning: Tuning
    rng: Random
    to_client: Callable[[Any], None] = field(default=lambda _packet: None)
    tx_enabled: bool = True
    transmitted: int = 0
    _queue: list[Queued] = field(default_factory=list)
    _pending: dict[int, Pending] = field(default_factory=dict)
    _seen: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_PACKETS))
    _spent: deque[tuple[float, float]] = field(default_factory=deque)
    _armed: bool = False
    _sending: bool = False
    _boots: int = 0

    @property
    def free_slots(self) -> int:
        """How many more packets the queue takes."""
        return QUEUE_SLOTS - len(self._queue)

    def submit(self, packet: Any, now_s: float) -> int:
        """Take a packet from the client; returns what `queueStatus.res` says."""
        setattr(packet, "from", self.node)
        if not self.tx_enabled:
            return ERRNO_DISABLED
        phy_bytes = self.phy_bytes(packet)
        if phy_bytes > radio_phy.MAX_PHY_BYTES:
            return self.refuse(packet, Routing.Error.TOO_LARGE, now_s)
        if self.duty_cycle_spent(now_s):
            return self.refuse(packet, Routing.Error.DUTY_CYCLE_LIMIT, now_s)
        packet.hop_start = packet.hop_limit
        if not packet.decoded.HasField("bitfield"):
            packet.decoded.bitfield = 0
        if packet.want_ack:
            self._pending[packet.id] = Pending(packet)
        return self._enqueue(packet, now_s)

    def phy_bytes(self, packet: Any) -> int:
        """The length on the air: header, encoded `Data` with the firmware's bitfield, direct messages' encryption."""
        bitfield = 0 if packet.decoded.HasField("bitfield") else 2
        # acknowledgements go out unencrypted by PKI even when direct (Router::perhapsEncode leaves ROUTING_APP alone)
        direct = packet.to != BROADCAST and packet.decoded.portnum != ROUTING_APP
        overhead = radio_phy.HEADER_BYTES + bitfield + (radio_phy.PKI_OVERHEAD_BYTES if direct else 0)
        return int(packet.decoded.ByteSize()) + overhead

    def duty_cycle_spent(self, now_s: float) -> bool:
        """Whether the rolling hour holds no more airtime for this region."""
        while self._spent and self._spent[0][0] < now_s - radio_phy.DUTY_WINDOW_S:
            self._spent.popleft()
        limit = radio_phy.duty_cycle_percent(self.tuning.region)
        used = 100.0 * sum(airtime_s for _, airtime_s in self._spent) / radio_phy.DUTY_WINDOW_S
        return limit < 100.0 and used > limit  # noqa: PLR2004 - a hundred percent is no limit

    def reboot(self, tuning: Tuning) -> None:
        """Forget everything that was in memory, airtime included (as the firmware does), and tune anew."""
        self._queue.clear()
        self._pending.clear()
        self._seen.clear()
        self._spent.clear()
        self.tuning = tuning
        self._boots += 1

    def hear(self, packet: Any, now_s: float) -> None:
        """A packet came in from the air."""
        sender = getattr(packet, "from")
        if packet.to not in (self.node, BROADCAST):
            return
        if packet.to == self.node and packet.want_ack:
            self._acknowledge(packet, now_s)
        if (sender, packet.id) in self._seen:
            return
        self._seen.append((sender, packet.id))
        answered = packet.decoded.request_id
        if packet.decoded.portnum == ROUTING_APP and answered:
            self._pending.pop(answered, None)
        self._hand_over(packet, now_s)

    def sent(self, packet: Any, now_s: float, *, heard_by: int) -> None:
        """The transmission has ended."""
        self._sending = False
        self.transmitted += 1
        waiting = self._pending.get(packet.id)
        if waiting is not None:
            if packet.to == BROADCAST and heard_by:
                del self._pending[packet.id]
                self._tell_outcome(packet, Routing.Error.NONE, now_s)
            else:
                self._await_acknowledgement(waiting, now_s)
        self._arm(now_s)

    def refuse(self, packet: Any, error: int, now_s: float) -> int:
        """Tell the client why a packet is not sent; returns what `queueStatus.res` says."""
        self._tell_outcome(packet, error, now_s)
        return error

    def _enqueue(self, packet: Any, now_s: float) -> int:
        if len(self._queue) >= QUEUE_SLOTS:
            # MeshPacketQueue::replaceLowerPriorityPacket
            least = min(self._queue, key=lambda queued: queued.packet.priority)
            if least.packet.priority >= packet.priority:
                self._pending.pop(packet.id, None)
                return ERRNO_UNKNOWN
            self._queue.remove(least)
        self._queue.append(Queued(packet, self.phy_bytes(packet)))
        self._arm(now_s)
        return OK

    def _arm(self, now_s: float) -> None:
        if self._armed or self._sending or not self._queue:
            return
        slots = radio_phy.contention_slots(self.air.utilisation(self.tuning, now_s))
        delay_s = self.rng.randrange(slots) * self.tuning.preset.slot_ms / 1000.0
        self._armed = True
        boot = self._boots
        self.air.timetable.at(now_s + delay_s, lambda then_s: self._talk(boot, then_s))

    def _talk(self, boot: int, now_s: float) -> None:
        self._armed = False
        if boot != self._boots or not self._queue:
            self._arm(now_s)
            return
        if self.air.busy_for(self, now_s):
            self._arm(now_s)
            return
        first = max(self._queue, key=lambda queued: queued.packet.priority)  # of equals, the one that came first
        self._queue.remove(first)
        self._sending = True
        waiting = self._pending.get(first.packet.id)
        if waiting is not None:
            waiting.transmissions += 1
        airtime_s = self.air.transmit(self, first.packet, phy_bytes=first.phy_bytes, now_s=now_s)
        self._spent.append((now_s, airtime_s))

    def _await_acknowledgement(self, waiting: Pending, now_s: float) -> None:
        waiting.attempt += 1
        attempt, boot = waiting.attempt, self._boots
        delay_ms = radio_phy.retransmission_delay_ms(
            self.tuning.preset, self.phy_bytes(waiting.packet), self.air.utilisation(self.tuning, now_s)
        )
        self.air.timetable.at(
            now_s + delay_ms / 1000.0, lambda then_s: self._repeat(waiting, then_s, attempt=attempt, boot=boot)
        )

    def _repeat(self, waiting: Pending, now_s: float, *, attempt: int, boot: int) -> None:
        packet = waiting.packet
        if boot != self._boots or waiting.attempt != attempt or self._pending.get(packet.id) is not waiting:
            return
        if waiting.transmissions >= MAX_TRANSMISSIONS:
            del self._pending[packet.id]
            self._tell_outcome(packet, Routing.Error.MAX_RETRANSMIT, now_s)
        elif self.duty_cycle_spent(now_s):
            del self._pending[packet.id]
            self._tell_outcome(packet, Routing.Error.DUTY_CYCLE_LIMIT, now_s)
        elif self._enqueue(packet, now_s) != OK:
            self._tell_outcome(packet, Routing.Error.TIMEOUT, now_s)

    def _acknowledge(self, packet: Any, now_s: float) -> None:
        answer = mesh_pb2.MeshPacket(to=getattr(packet, "from"), id=self._new_id(), hop_limit=packet.hop_start)
        setattr(answer, "from", self.node)
        answer.priority = mesh_pb2.MeshPacket.Priority.ACK
        answer.decoded.portnum = ROUTING_APP
        answer.decoded.payload = Routing(error_reason=Routing.Error.NONE).SerializeToString()
        answer.decoded.request_id = packet.id
        answer.decoded.bitfield = 0
        self._enqueue(answer, now_s)

    def _tell_outcome(self, packet: Any, error: int, now_s: float) -> None:
        """A routing packet from the radio itself to its client: acknowledged, or why not."""
        told = mesh_pb2.MeshPacket(to=self.node, id=self._new_id(), rx_time=int(now_s))
        setattr(told, "from", self.node)
        told.decoded.portnum = ROUTING_APP
        told.decoded.payload = Routing(error_reason=error).SerializeToString()
        told.decoded.request_id = packet.id
        self.to_client(told)

    def _hand_over(self, packet: Any, now_s: float) -> None:
        told = mesh_pb2.MeshPacket()
        told.CopyFrom(packet)
        told.rx_time = int(now_s) & 0xFFFFFFFF
        told.rx_snr = 6.0
        told.rx_rssi = -80
        self.to_client(told)

    def _new_id(self) -> int:
        return self.rng.randrange(1, 2**32)
