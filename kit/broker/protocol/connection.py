"""The server's side of one connection: which packet may come when, and when the client has been silent too long.

What the packets mean for sessions and subscribers is `kit.broker.hub`'s; this knows one byte stream.
"""

from __future__ import annotations

from enum import Enum

from kit.broker.protocol.errors import (
    IdentifierRejected,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    UnexpectedPacket,
)
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from kit.broker.protocol.reader import PacketReader

KEEP_ALIVE_GRACE = 1.5
"""A client may be silent for one and a half times its keep-alive [MQTT-3.1.2-24]."""


class State(Enum):
    """Where a connection stands."""

    NEW = "new"  # only a CONNECT may come [MQTT-3.1.0-1]
    SIGNING_IN = "signing in"  # the CONNECT is being judged; what follows waits in the buffer
    OPEN = "open"
    CLOSED = "closed"


EXPECTED: dict[State, tuple[type, ...]] = {
    State.NEW: (Connect,),
    State.OPEN: (Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Unsubscribe, Pingreq, Disconnect),
}
"""What a client may send in each state; a second CONNECT is a violation [MQTT-3.1.0-2]."""


class ServerConnection:
    """One client's byte stream, as packets.

    Args:
        limits: on every length.
        now: any monotonic seconds; the same clock is given to every method.
    """

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._reader = PacketReader(limits, packet_bytes=limits.connect_bytes)
        self._deadline: float | None = now + limits.connect_timeout_s
        self._patience_s: float | None = None
        self.state = State.NEW

    @property
    def unread_bytes(self) -> int:
        """Bytes received and not yet given out as packets."""
        return self._reader.unread_bytes

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take what the network brought; after the end of the conversation it is ignored."""
        if self.state is State.CLOSED:
            return
        self._reader.receive_data(data)
        if self._patience_s is not None:
            self._deadline = now + self._patience_s

    def next_packet(self) -> Packet | None:
        """The client's next packet; None until more bytes have come, or while it is signing in.

        Raises:
            RemoteProtocolError: answer `return_code` if it has one and close.
        """
        if self.state in {State.SIGNING_IN, State.CLOSED}:
            return None
        try:
            packet = self._reader.next_packet()
            if packet is None:
                return None
            self._check(packet)
        except RemoteProtocolError:
            self.close()
            raise
        return packet

    def accept(self, connect: Connect, *, now: float) -> None:
        """The CONNECT was found good: from now on anything may come, and the keep-alive runs."""
        if self.state is not State.SIGNING_IN:
            raise LocalProtocolError(f"a connection that is {self.state.value} has no CONNECT to accept")
        self.state = State.OPEN
        self._reader.packet_bytes = self._limits.packet_bytes
        # a keep-alive of zero turns the mechanism off (3.1.2.10)
        self._patience_s = connect.keep_alive_s * KEEP_ALIVE_GRACE or None
        self.heard(now=now)

    def heard(self, *, now: float) -> None:
        """Let the keep-alive start anew: it was this side that did not read."""
        self._deadline = None if self._patience_s is None else now + self._patience_s

    def close(self) -> None:
        """Nothing further is taken."""
        self.state = State.CLOSED
        self._deadline = None

    def wake_at(self) -> float | None:
        """When `check_time` has to be called, if nothing comes before."""
        return self._deadline

    def check_time(self, *, now: float) -> None:
        """See whether the client has been silent too long.

        Raises:
            TimedOut: it has; close the connection.
        """
        if self._deadline is None or now < self._deadline:
            return
        was = self.state
        self.close()
        if was is State.OPEN:
            raise TimedOut("the client was silent for 1.5 × its keep-alive")
        raise TimedOut(f"no CONNECT was completed in {self._limits.connect_timeout_s:g} s")

    def _check(self, packet: Packet) -> None:
        if not isinstance(packet, EXPECTED[self.state]):
            raise UnexpectedPacket(
                f"{type(packet).__name__.upper()} from a client whose connection is {self.state.value}"
            )
        if isinstance(packet, Connect):
            if not packet.client_id and not packet.clean_session:
                raise IdentifierRejected("an empty client id needs clean session 1 [MQTT-3.1.3-8]")
            self.state = State.SIGNING_IN
        elif isinstance(packet, Disconnect):
            self.close()
