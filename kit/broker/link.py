"""One client's socket: bytes to packets and back, and not reading faster than the disk writes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol

from kit.broker.ports import Mark
from kit.broker.protocol.connection import ServerConnection, State
from kit.broker.protocol.errors import RemoteProtocolError
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Publish,
    Publishes,
)
from kit.broker.protocol.reader import Topics
from kit.broker.protocol.reasons import Reason

PACKET_OVERHEAD = 64
"""What a waiting packet counts for besides its payload, in bytes."""

LINGER_S = 1.0
"""How long a client that has been told why it is disconnected may take to read that, real seconds.

Without this wait its unread bytes would make the kernel send a reset, which destroys what it has not read yet.
"""

EVERYTHING = 1 << 40
"""Bytes that nobody has sent: what a client that is gone has left behind is read to its end."""

READ_AT_ONCE_BYTES = 65_536
"""Taken from a socket at once. By itself asyncio asks for four times as much, in memory that it gets from the system
and gives back each time: that takes longer than all that is done to a reading's bytes afterwards."""

DEAD_AFTER_S = 60
"""Seconds of silence after which the kernel asks a peer whether it still exists."""


def size_of(packet: Packet) -> int:
    """What it counts for while it is on its way to the disk, in bytes."""
    if type(packet) is Publishes:
        return PACKET_OVERHEAD * packet.number + sum(map(len, packet.payloads))
    return PACKET_OVERHEAD + (len(packet.payload) if type(packet) is Publish else 0)


class LinkOwner(Protocol):
    """What a link tells the broker."""

    def link_opened(self, link: Link) -> bool:
        """Whether there is room for it."""
        ...

    def sign_in(self, link: Link, connect: Connect) -> None:
        """Judge the CONNECT; answer with `Link.accept` or `Link.refuse`."""
        ...

    def packets_came(self, link: Link, packets: list[Packet], size_bytes: int) -> None:
        """Packets of a client that has signed in, in their order, and what they count for (see `size_of`)."""
        ...

    def link_blocked(self, link: Link, *, blocked: bool) -> None:
        """Its client reads too slowly, or reads again."""
        ...

    def link_closed(self, link: Link) -> None:
        """Nothing more comes from it."""
        ...

    def overloaded(self) -> bool:
        """Whether all clients together have too much on the way to the disk."""
        ...

    def unread_grew(self, more_bytes: int) -> bool:
        """Count bytes that came in and are no packet yet; whether all clients together have too many of them."""
        ...


class Link(asyncio.BufferedProtocol):
    """A connection of a client.

    Args:
        number: names it to the hub.
        topics: remembered for all connections.
        buffer: where bytes are received; shared, too, because they are taken out of it at once.
    """

    def __init__(
        self,
        number: int,
        owner: LinkOwner,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        *,
        topics: Topics,
        buffer: memoryview,
    ) -> None:
        self.number = number
        self.address = ""
        self.username: str | None = None
        self.mark: Mark | None = None
        self.open = False
        self.pending_bytes = 0
        self.closed_because = ""
        self._owner, self._limits, self._loop = owner, limits, loop
        self._connection = ServerConnection(limits, now=loop.time(), topics=topics)
        self._transport: asyncio.Transport | None = None
        self._buffer = buffer
        self._gone = self._told = self._lingers = False
        self._paused = False
        self._blocked_since: float | None = None
        self._unread_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether a client has signed in on it and is still there."""
        return self.username is not None and self._transport is not None

    # --- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        transport.set_write_buffer_limits(high=self._limits.unsent_bytes)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_AFTER_S)
        if not self._owner.link_opened(self):
            self.close("too many connections")

    def encrypted(self, transport: asyncio.Transport) -> None:
        """From now on what is said goes through here."""
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.unsent_bytes)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the bytes go that the client has sent."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """The client has sent something, which is there now."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """The client has sent something."""
        self._connection.receive_data(data, now=self._loop.time())
        self.read()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what had come in before still counts."""
        del exc
        self._transport, self._gone = None, True
        self.read()

    def pause_writing(self) -> None:
        """The client reads too slowly; what it sends is not read either, for it would have to be answered."""
        self._blocked_since = self._loop.time()
        self._owner.link_blocked(self, blocked=True)
        self._set_paused(paused=True)

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked_since = None
        self._owner.link_blocked(self, blocked=False)
        self.read()

    # --- called by the broker

    def read(self) -> None:
        """Hand on the packets that are there, as long as not too many are on their way to the disk."""
        came: list[Packet] = []
        before = self.pending_bytes
        problem = self._read_into(came)
        if came:
            self._owner.packets_came(self, came, self.pending_bytes - before)
        if problem is not None:
            self.close(str(problem), answer=problem.answer)
        choked = self._is_choked()
        self._set_paused(paused=choked)
        self._count_unread(choked=choked)
        # while the sign-in is judged, the end of the connection has to wait for what came with the CONNECT
        if self._gone and not self._told and self._connection.state is not State.SIGNING_IN:
            self._told = True
            self._connection.close()
            self._owner.link_closed(self)

    def _read_into(self, came: list[Packet]) -> RemoteProtocolError | None:
        """Add what there is, as long as not too much is on its way to the disk; the error that ends it."""
        connection = self._connection
        try:
            while (room := self._room()) >= 0:
                known = connection.take_known(room=room, overhead=PACKET_OVERHEAD)
                if known is not None:
                    self.pending_bytes += size_of(known)
                    came.append(known)
                    if connection.unread_bytes:
                        continue
                    break
                packet = connection.next_packet()
                if packet is None:
                    break
                if type(packet) is Publish:
                    self.pending_bytes += PACKET_OVERHEAD + len(packet.payload)
                    came.append(packet)
                elif isinstance(packet, Pingreq):
                    self.send([Pingresp()])
                elif isinstance(packet, Connect):
                    self._owner.sign_in(self, packet)
                else:
                    self.pending_bytes += size_of(packet)
                    came.append(packet)
        except RemoteProtocolError as error:
            return error
        return None

    def _count_unread(self, *, choked: bool) -> None:
        unread = 0 if self._connection.state is State.CLOSED else self._connection.unread_bytes
        grown, self._unread_bytes = unread - self._unread_bytes, unread
        if self._owner.unread_grew(grown) and not choked and unread > self._limits.connect_bytes:
            self.close("too many large packets are on their way to this broker; try again", Reason.SERVER_BUSY)
            self._count_unread(choked=True)

    def resume(self) -> None:
        """Some of its packets have reached the disk: read on if that was what it waited for."""
        if self._paused:
            self.read()

    def stop_reading(self) -> None:
        """Take nothing more; what is already on its way to the disk is still answered."""
        self._connection.end()
        self._set_paused(paused=True)

    def accept(self, connect: Connect, *, username: str, mark: Mark) -> bool:
        """The client may come in; False if it was shown out meanwhile."""
        if self._connection.state is not State.SIGNING_IN:
            return False
        self.username, self.mark = username, mark
        self._connection.accept(connect, now=self._loop.time())
        return True

    def refuse(self, code: Reason, reason: str) -> None:
        """The client may not come in."""
        self._connection.close()
        self.close(reason, answer=Connack(session_present=False, code=code, text=reason))
        if self._gone:
            self.read()

    def send(self, packets: Sequence[Packet]) -> None:
        """Write packets; after the end of the connection they go nowhere."""
        if self._transport is not None and not self._lingers and not self._transport.is_closing():
            self._transport.write(self._connection.encode(packets))

    def close(self, reason: str, code: Reason = Reason.UNSPECIFIED, *, answer: Packet | None = None) -> None:
        """Send what is written, then close; the client's further packets are not taken.

        Args:
            reason: for the log, and for a client that speaks MQTT 5.
            code: the same as a number.
            answer: to be sent instead of what `reason` and `code` would say.
        """
        self.closed_because = self.closed_because or reason
        answer = answer or self._connection.farewell(code, reason)
        self._connection.close()
        self._count_unread(choked=True)
        transport = self._transport
        if transport is None or transport.is_closing() or self._lingers:
            return
        if answer is None or not transport.can_write_eof():
            self.send([] if answer is None else [answer])
            self._hang_up(transport)
            return
        self.send([answer])
        self._lingers = True
        transport.write_eof()
        transport.resume_reading()
        self._loop.call_later(LINGER_S, self._hang_up, transport)

    def _hang_up(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.close()
            if transport.get_write_buffer_size():
                # a client that does not read what is left for it must not keep the connection half open
                self._loop.call_later(self._limits.connect_timeout_s, transport.abort)

    def check_time(self) -> None:
        """Close if the client has been silent, or has not read what is left for it, for too long."""
        now = self._loop.time()
        if self._blocked_since is not None and now - self._blocked_since > self._limits.blocked_s:
            self.close(f"the client has read nothing for {self._limits.blocked_s:g} s")
            if self._transport is not None:
                self._transport.abort()
            return
        if self._paused:
            self._connection.heard(now=self._loop.time())
            return
        try:
            self._connection.check_time(now=self._loop.time())
        except RemoteProtocolError as error:
            self.close(str(error), answer=error.answer)

    # --- inside

    def _is_choked(self) -> bool:
        if self._blocked_since is not None:
            return True
        if self._connection.state is State.SIGNING_IN:
            return self._connection.unread_bytes > self._limits.connect_bytes
        return self.pending_bytes > self._limits.unread_bytes or (self.pending_bytes > 0 and self._owner.overloaded())

    def _room(self) -> int:
        """Bytes that may still be on the way to the disk before it reads no further; negative if it is choked."""
        if self._gone:
            return EVERYTHING
        if self._is_choked():
            return -1
        return 0 if self._owner.overloaded() else self._limits.unread_bytes - self.pending_bytes

    def _set_paused(self, *, paused: bool) -> None:
        if self._transport is None or self._lingers or self._transport.is_closing() or paused == self._paused:
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._connection.heard(now=self._loop.time())
            self._transport.resume_reading()
