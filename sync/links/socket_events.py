"""What libzmq says about a socket's connections, as a small state."""

from __future__ import annotations

from dataclasses import dataclass

import zmq
from zmq.utils.monitor import parse_monitor_message

ZAP_REFUSED = 400
"""The status our own authenticator gives to a key that is not invited."""

EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
)


@dataclass
class Connections:
    """How many of a socket's connections stand, and why the last one did not come about.

    Attributes:
        standing: finished handshakes that have not been disconnected.
        trouble: "" or why the last attempt failed: "refused" (the other side does not know our key), "handshake" (wrong
            server key, or no CURVE server there), "unreachable".
        ended: an attempt or a connection has come to its end.
    """

    standing: int = 0
    trouble: str = ""
    ended: bool = False

    def take(self, event: int, value: int) -> None:
        """Account for one event of libzmq's."""
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.standing += 1
            self.trouble = ""
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.trouble = "refused" if value == ZAP_REFUSED else "handshake"
            self.ended = True
        elif event in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
            self.trouble = self.trouble or "handshake"
            self.ended = True
        elif event == zmq.EVENT_DISCONNECTED:
            self.standing = max(self.standing - 1, 0)
            self.ended = True
        elif event == zmq.EVENT_CLOSED:
            self.trouble = "unreachable"
            self.ended = True


def read_events(monitor: zmq.Socket[bytes], connections: Connections) -> None:
    """Take everything the monitor has to tell."""
    while monitor.poll(0):
        told = parse_monitor_message(monitor.recv_multipart())
        connections.take(int(told["event"]), int(told["value"]))
