"""The core's end of the cellular link: a ZeroMQ ROUTER with CURVE to which every invited kit may connect.

See `sync.links.cellular` for what the link promises.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence

import zmq

from sync.links.cellular_socket import IN_FLIGHT_FRAMES, MTU_BYTES, Socket, close_both, tune
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.links.socket_events import EVENTS, Connections, read_events
from sync.links.zap import ZapThread


class CellularCoreLink:
    """The core's side: every invited kit may connect.

    Args:
        listen: `tcp://0.0.0.0:PORT`.
        public: the core's CURVE public key in Z85.
        secret: the core's CURVE secret key in Z85.
        allowed: is asked with a kit's CURVE public key in Z85 at each handshake, on a thread of its own.
        lowest_priority: the largest priority number carried; 5 = everything.
    """

    name = "cellular"
    mtu_bytes = MTU_BYTES

    def __init__(
        self, *, listen: str, public: bytes, secret: bytes, allowed: Callable[[bytes], bool], lowest_priority: int = 5
    ) -> None:
        self._listen, self._keys, self._allowed = listen, (public, secret), allowed
        self.lowest_priority = lowest_priority
        self._context: zmq.Context[Socket] | None = None
        self._socket: Socket | None = None
        self._monitor: Socket | None = None
        self._zap: ZapThread | None = None
        self._connections = Connections()
        self._routes: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """Where it listens, with the port that was chosen for port 0; "" while closed."""
        return "" if self._socket is None else bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def open(self) -> None:
        """Listen.

        Raises:
            LinkError: the address is in use or is not one of this machine's.
        """
        if self._socket is not None:
            return
        context: zmq.Context[Socket] = zmq.Context()
        zap = ZapThread(context, self._allowed)
        zap.start()
        socket = context.socket(zmq.ROUTER)
        try:
            tune(socket)
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = self._keys
            socket.router_mandatory = True  # a frame for a kit that has gone is refused, not dropped
            self._monitor = socket.get_monitor_socket(EVENTS)
            socket.bind(self._listen.removesuffix(":0") + ":*" if self._listen.endswith(":0") else self._listen)
        except zmq.ZMQError as error:
            close_both(socket, self._monitor)
            self._monitor = None
            zap.stop()
            context.term()
            raise LinkError(_explain_bind(self._listen, error)) from error
        self._context, self._zap, self._socket = context, zap, socket

    def close(self) -> None:
        """Let go of everything."""
        close_both(self._socket, self._monitor)
        if self._zap is not None:
            self._zap.stop()
        if self._context is not None:
            self._context.term()
        self._socket = self._monitor = self._zap = self._context = None
        self._connections, self._routes = Connections(), {}

    def state(self) -> LinkState:
        """Up while it listens."""
        if self._monitor is not None:
            read_events(self._monitor, self._connections)
        return LinkState.DOWN if self._socket is None else LinkState.UP

    def explain(self) -> str:
        """One sentence for the technician."""
        if self.state() is LinkState.DOWN:
            return "the cellular link is closed"
        kits = self._connections.standing
        refused = "; a kit that is not invited was turned away" if self._connections.trouble == "refused" else ""
        return f"listening at {self.address}, {kits} kit{'' if kits == 1 else 's'} connected{refused}"

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Hand the frame to that kit's connection; False when it has none or it is full."""
        del priority
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        route = self._routes.get(to or "")
        if self._socket is None or route is None:
            return False
        try:
            self._socket.send_multipart([route, frame], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                self._routes.pop(to or "", None)
            elif error.errno != zmq.EAGAIN:
                raise LinkError(f"the cellular link broke while sending ({error}); restart the core's sync") from error
            return False
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits up to that many real seconds for the first."""
        if self._socket is None:
            time.sleep(timeout_s)
            return []
        self.state()  # keeps the monitor's queue short
        if not self._socket.poll(int(timeout_s * 1000)):
            return []
        arrivals: list[Arrival] = []
        while len(arrivals) < IN_FLIGHT_FRAMES * 4:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            if len(parts) == 2:  # noqa: PLR2004 - route and frame
                arrivals.append(self._arrived(parts[0], parts[1]))
        return arrivals

    def _arrived(self, route: zmq.Frame, frame: zmq.Frame) -> Arrival:
        via = str(frame.get("User-Id"))  # the CURVE key the handshake proved; set by the ZAP thread
        self._routes[via] = route.bytes
        return Arrival(frame.bytes, via)


def _explain_bind(listen: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"{listen} is already used by another program; stop it, or choose another port with [core] listen"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV):
        return f'{listen} is not an address of this machine; [core] listen = "0.0.0.0:7450" listens at all of them'
    return f'cannot listen at {listen} ({error}); [core] listen is written "HOST:PORT"'
