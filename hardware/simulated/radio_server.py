"""The TCP side of a simulated radio: one client at a time, Meshtastic's stream protocol, and how it misbehaves."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from meshtastic.protobuf import mesh_pb2, portnums_pb2

from hardware.ports import HardwareClock, HardwareError
from hardware.simulated.air import Air
from hardware.simulated.radio_config import ADMIN_APP, RadioConfig, describe
from hardware.simulated.radio_faults import Faults
from hardware.simulated.radio_mac import BROADCAST, QUEUE_SLOTS, RadioMac
from hardware.simulated.radio_stream import FrameParser, encode_frame

HOST = "127.0.0.1"
TO_PHONE_PACKETS = 32  # MAX_RX_TOPHONE: what is kept for a client that is not there; the oldest goes first
REMEMBERED_CLIENT_PACKETS = 20  # PhoneAPI::recentToRadioPacketIds
BOOT_S, BOOT_REAL_S = 5.0, 0.3
"""How long a reboot takes in kit seconds, and at least in real ones, so that a client can notice it."""
IDLE_CLOSE_S, IDLE_CLOSE_REAL_S = 900.0, 5.0
"""The firmware closes a client that has said nothing for fifteen minutes."""
UNREAD_BYTES = 256 * 1024
"""A client that leaves this much unread is dropped."""

ROUTING_APP: int = portnums_pb2.PortNum.ROUTING_APP
POSITION_APP: int = portnums_pb2.PortNum.POSITION_APP


class Clockwork:
    """Runs the air's timetable on the event loop."""

    def __init__(self, air: Air, clock: HardwareClock) -> None:
        self.air, self._clock = air, clock
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """The present, with everything that was due before it done."""
        now_s = self._clock.monotonic()
        self.air.timetable.run_until(now_s)
        return now_s

    def settle(self) -> None:
        """Wake up again when the next event is due."""
        now_s = self.now()
        if self._timer is not None:
            self._timer.cancel()
        wake_at = self.air.timetable.wake_at()
        if wake_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(self._clock.real(wake_at - now_s), 0.0), self.settle)


@dataclass
class RadioServer:
    """One radio with its socket. `peers` are all radios' settings, for the node list."""

    config: RadioConfig
    mac: RadioMac
    clockwork: Clockwork
    clock: HardwareClock
    peers: Sequence[RadioConfig]
    faults: Callable[[], Faults]
    port: int = 0
    _server: asyncio.Server | None = None
    _client: asyncio.StreamWriter | None = None
    _ready: bool = False
    _truncate: int = 0
    _kept: deque[Any] = field(default_factory=lambda: deque(maxlen=TO_PHONE_PACKETS))
    _from_client: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CLIENT_PACKETS))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen.

        Raises:
            HardwareError: the port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise HardwareError(
                f"port {self.port} for a simulated radio is used by another program; stop it, or choose another port"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop the client and stop listening."""
        for task in self._tasks:
            task.cancel()
        await self._stop_listening()

    def do(self, action: str, *, gps_s: float = 0.0) -> None:
        """Misbehave once ("close", "reboot", "truncate"), or tell the own "position" with the time of a GPS."""
        if action == "position":
            self._tell_position(gps_s)
        elif action == "close":
            self._drop_client()
        elif action == "truncate":
            self._truncate += 1
        elif action == "reboot":
            self._start_task(self._reboot())

    def _tell_position(self, gps_s: float) -> None:
        here = mesh_pb2.Position(
            latitude_i=-3_700_000,
            longitude_i=363_200_000,
            time=int(gps_s),
            location_source=mesh_pb2.Position.LocSource.LOC_INTERNAL,
        )
        packet = mesh_pb2.MeshPacket(to=BROADCAST, id=(int(gps_s) ^ 0x5A5A5A5A) & 0xFFFFFFFF)
        setattr(packet, "from", self.config.node)
        packet.decoded.portnum = POSITION_APP
        packet.decoded.payload = here.SerializeToString()
        self.to_client(packet)

    def to_client(self, packet: Any) -> None:
        """Hand a packet to the client, or keep it until one has asked for the configuration."""
        if self._ready:
            self._tell(mesh_pb2.FromRadio(packet=packet))
        else:
            self._kept.append(packet)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._drop_client()  # a new client replaces the old one
        self._client, self._ready = writer, False
        parser = FrameParser()
        idle_s = max(self.clock.real(IDLE_CLOSE_S), IDLE_CLOSE_REAL_S)
        try:
            while received := await asyncio.wait_for(reader.read(4096), timeout=idle_s):
                for message in parser.feed(received):
                    self._understand(message)
                self.clockwork.settle()
        except (OSError, TimeoutError):
            pass  # a client that vanished or fell silent
        finally:
            if self._client is writer:
                self._drop_client()
            else:
                writer.close()

    def _understand(self, message: bytes) -> None:
        try:
            told = mesh_pb2.ToRadio.FromString(message)
        except DecodeError:
            return  # the firmware drops what it cannot decode
        kind = told.WhichOneof("payload_variant")
        if kind == "want_config_id":
            self._introduce(told.want_config_id)
        elif kind == "packet":
            self._take(told.packet)
        elif kind == "heartbeat":
            self._tell_queue(packet_id=0, result=0)
        elif kind == "disconnect":
            self._drop_client()

    def _introduce(self, nonce: int) -> None:
        others = [peer for peer in self.peers if peer is not self.config]
        for message in describe(self.config, others, nonce):
            self._tell(message)
        self._ready = True
        while self._kept and self._client is not None:
            self._tell(mesh_pb2.FromRadio(packet=self._kept.popleft()))

    def _take(self, packet: Any) -> None:
        if packet.id in self._from_client:
            return  # PhoneAPI::wasSeenRecently: the library repeats what it thinks was not taken
        self._from_client.append(packet.id)
        if self.mac.number in self.faults().stuck:
            self._tell_queue(packet_id=packet.id, result=0)
            return
        if packet.to == self.config.node:
            self._take_own(packet)
            return
        refusal = dict(self.faults().refuse).get(self.mac.number)
        if refusal is not None:
            result = self.mac.refuse(packet, mesh_pb2.Routing.Error.Value(refusal), self.clockwork.now())
            self._tell_queue(packet_id=packet.id, result=result)
            return
        result = self.mac.submit(packet, self.clockwork.now())
        self._tell_queue(packet_id=packet.id, result=result)

    def _take_own(self, packet: Any) -> None:
        self._tell_queue(packet_id=packet.id, result=0)
        if packet.decoded.portnum != ADMIN_APP:
            return
        try:
            answer, reboot = self.config.administer(packet)
        except DecodeError:
            return
        if packet.want_ack:
            done = mesh_pb2.MeshPacket(to=self.config.node, id=packet.id ^ 0xAAAAAAAA)
            setattr(done, "from", self.config.node)
            done.decoded.portnum = ROUTING_APP
            done.decoded.payload = mesh_pb2.Routing(error_reason=mesh_pb2.Routing.Error.NONE).SerializeToString()
            done.decoded.request_id = packet.id
            self.to_client(done)
        if answer is not None:
            self.to_client(answer)
        if reboot:
            self._start_task(self._reboot())

    def _tell_queue(self, *, packet_id: int, result: int) -> None:
        free = 0 if self.mac.number in self.faults().stuck else self.mac.free_slots
        status = mesh_pb2.QueueStatus(res=result, free=free, maxlen=QUEUE_SLOTS, mesh_packet_id=packet_id)
        self._tell(mesh_pb2.FromRadio(queueStatus=status))

    def _tell(self, message: Any) -> None:
        if self._client is None or self.mac.number in self.faults().mute:
            return
        frame = encode_frame(message.SerializeToString())
        if self._truncate:
            self._truncate -= 1
            frame = frame[: len(frame) // 2]
        if self._client.transport.get_write_buffer_size() > UNREAD_BYTES:
            self._drop_client()
            return
        self._client.write(frame)

    def _drop_client(self) -> None:
        client, self._client, self._ready = self._client, None, False
        if client is not None:
            client.close()

    async def _reboot(self) -> None:
        self.config.reboots += 1
        await self._stop_listening()
        self.mac.reboot(self.config.tuning)
        self.mac.tx_enabled = self.config.tx_enabled
        self._kept.clear()
        await asyncio.sleep(max(self.clock.real(BOOT_S), BOOT_REAL_S))
        await self.start()

    async def _stop_listening(self) -> None:
        self._drop_client()
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    def _start_task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
