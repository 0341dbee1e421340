"""What both ends of the cellular link have in common: sizes, patience, and how a ZeroMQ socket is set up and closed."""

from __future__ import annotations

import zmq

MTU_BYTES = 60_000
"""Large enough that a frame's overhead vanishes, small enough to pass in ten seconds at 2G's 50 kbit/s."""

CURVE_OVERHEAD_BYTES = 64
"""libzmq measures a message as it comes in, sealed: 33 bytes more by CurveZMQ (RFC 26), rounded up."""

IN_FLIGHT_FRAMES = 8
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 30_000, 20_000
"""A mobile network drops idle connections without a word after some minutes; a ping of some 80 bytes costs a kit
about 7 MB a month at this interval."""
HANDSHAKE_S, HANDSHAKE_REAL_S = 20.0, 2.0
"""For CURVE's three round trips over bad 2G; after it a kit that the core could not look up tries again."""

Socket = zmq.Socket[bytes]


def close_both(socket: Socket | None, monitor: Socket | None) -> None:
    """Both at once and the monitor too: a context waits for ever for a socket that was left open."""
    if socket is not None:
        socket.disable_monitor()
        socket.close(linger=0)
    if monitor is not None:
        monitor.close(linger=0)


def tune(socket: Socket) -> None:
    """Nothing is queued for long, nothing large is read, and a silent peer is noticed."""
    socket.linger = 0
    socket.sndhwm = IN_FLIGHT_FRAMES
    socket.rcvhwm = IN_FLIGHT_FRAMES * 4
    socket.maxmsgsize = MTU_BYTES + CURVE_OVERHEAD_BYTES  # whoever sends more is disconnected before it is read
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
    socket.handshake_ivl = int(HANDSHAKE_S * 1000)
