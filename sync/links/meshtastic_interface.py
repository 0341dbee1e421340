"""The `meshtastic` library, made to behave: its interface classes with the traps of 2.7.11 taken out.

| the library                                                            | here                                      |
|------------------------------------------------------------------------|-------------------------------------------|
| reconnects by itself after a silent close and tells nobody             | the reader ends, `on_lost` is called      |
| sendData waits for ever while the radio's queue is full                | writes at once; the link paces            |
| writes everything again that has not been answered by a queueStatus    | writes once                               |
| waits 30 s, then 300 s, for a radio that does not answer               | `connect` waits as long as it is told     |
| prints, logs tracebacks and hands all packets to one publishing thread | packets come by callback, the rest is quiet |

Importing this module costs a quarter of a second (protobuf, pubsub, serial), so it is imported when a link is opened.
The callbacks run on the library's reader thread and must not block.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from meshtastic.protobuf import config_pb2, mesh_pb2
from meshtastic.serial_interface import SerialInterface
from meshtastic.tcp_interface import TCPInterface

CONNECT_TIMEOUT_S = 5.0
"""Real seconds for the TCP connection to a radio on the local network."""
WRITE_TIMEOUT_S = 2
"""Real seconds after which a radio that reads nothing counts as gone."""
READ_BYTES = 4096
LOOK_EVERY_S = 0.05

LoRa = config_pb2.Config.LoRaConfig

# Whatever the library would log is told by the link's `explain` in words a technician can use.
logging.getLogger("meshtastic").setLevel(logging.CRITICAL)


def routing_error(payload: bytes) -> tuple[int, str]:
    """What a radio says became of a packet: (0, "NONE") when it went well, or is unreadable."""
    told = mesh_pb2.Routing()
    try:
        told.ParseFromString(payload)
        return int(told.error_reason), str(mesh_pb2.Routing.Error.Name(told.error_reason))
    except (DecodeError, ValueError):
        return 0, "NONE"


@dataclass(frozen=True)
class Callbacks:
    """What the link wants to hear.

    Attributes:
        on_packet: a MeshPacket from the radio.
        on_queue: a QueueStatus.
        on_notice: a sentence the radio has for its user.
        on_lost: the connection has ended; called once or more.
    """

    on_packet: Callable[[Any], None]
    on_queue: Callable[[Any], None]
    on_notice: Callable[[str], None]
    on_lost: Callable[[], None]


class _WellBehaved:
    """Mixed into the library's interfaces before their own methods."""

    callbacks: Callbacks
    _over: threading.Event
    socket: Any
    isConnected: threading.Event  # noqa: N815 - the library's name

    def _sendToRadio(self, toRadio: Any) -> None:  # noqa: N802, N803 - the library's names
        self._sendToRadioImpl(toRadio)  # type: ignore[attr-defined] # from the library's class

    def _startHeartbeat(self) -> None:  # noqa: N802
        """The link sends its own, and looks at the answers."""

    def _waitConnected(self, timeout: float = 0.0) -> None:  # noqa: N802
        """Never blocks a sender; `connect` has its own way to wait."""
        del timeout

    def _reconnect(self) -> None:
        raise ConnectionResetError("the radio has closed the connection")

    def _disconnected(self) -> None:
        self._over.set()
        with contextlib.suppress(Exception):
            super()._disconnected()  # type: ignore[misc] # from the library's class
        self.callbacks.on_lost()

    def _handleFromRadio(self, fromRadioBytes: bytes) -> None:  # noqa: N802, N803
        told = mesh_pb2.FromRadio()
        try:
            told.ParseFromString(bytes(fromRadioBytes))
        except DecodeError:  # as after a truncated frame
            return
        if told.HasField("packet"):
            self.callbacks.on_packet(told.packet)
        elif told.HasField("queueStatus"):
            self.callbacks.on_queue(told.queueStatus)
        elif told.HasField("clientNotification"):
            self.callbacks.on_notice(told.clientNotification.message)
        elif told.HasField("rebooted"):
            # the library would ask for everything anew by itself; the link connects anew, and looks at the settings
            self._over.set()
            self.callbacks.on_lost()
        elif not told.HasField("log_record"):
            self._keep(fromRadioBytes)

    def _keep(self, message: bytes) -> None:
        """Settings, channels and nodes, which the library keeps."""
        # it fails in many ways on what it does not know, and would print a traceback
        with contextlib.suppress(Exception):
            super()._handleFromRadio(message)  # type: ignore[misc] # from the library's class

    def wait_until_configured(self, timeout_s: float, stop: threading.Event) -> bool:
        """Wait that many real seconds for the radio's settings; False if they did not come, or `stop` was set."""
        waited_s = 0.0
        while not self._over.is_set() and not stop.is_set() and waited_s < timeout_s:
            if self.isConnected.wait(LOOK_EVERY_S):
                return True
            waited_s += LOOK_EVERY_S
        return False

    def wait_until_over(self, timeout_s: float, stop: threading.Event) -> None:
        """Wait that many real seconds for the connection to end, or for `stop`."""
        waited_s = 0.0
        while not stop.is_set() and waited_s < timeout_s and not self._over.wait(LOOK_EVERY_S):
            waited_s += LOOK_EVERY_S

    def give_up(self) -> None:
        """Treat the connection as ended."""
        self._over.set()

    def let_go(self) -> None:
        """Close, whatever the library thinks of it."""
        with contextlib.suppress(Exception):
            self.close()  # type: ignore[attr-defined] # from the library's class

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._over.is_set()


class RadioOverTcp(_WellBehaved, TCPInterface):  # type: ignore[misc] # the library has no types
    """A radio with a network address. Making the object connects nothing."""

    def __init__(self, host: str, port: int, callbacks: Callbacks) -> None:
        self.callbacks, self._over = callbacks, threading.Event()
        self._received = b""
        self._wantExit = False
        super().__init__(host, portNumber=port, connectNow=False, noNodes=True)

    def myConnect(self) -> None:  # noqa: N802 - the library's name
        """Connect, but not for ever."""
        connection = socket.create_connection((self.hostname, self.portNumber), timeout=CONNECT_TIMEOUT_S)
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", WRITE_TIMEOUT_S, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection

    def _readBytes(self, length: int) -> bytes | None:  # noqa: N802
        """From a buffer: the library asks for single bytes, each of which would be a system call."""
        if not self._received:
            connection = self.socket
            if connection is None:
                self._wantExit = True
                return None
            self._received = connection.recv(READ_BYTES)
            if not self._received and not self._wantExit:
                self._reconnect()
        taken, self._received = self._received[:length], self._received[length:]
        return taken


class RadioOverSerial(_WellBehaved, SerialInterface):  # type: ignore[misc] # the library has no types
    """A radio on a USB or UART lead. Making the object opens nothing."""

    def __init__(self, device: str, callbacks: Callbacks) -> None:
        self.callbacks, self._over = callbacks, threading.Event()
        super().__init__(device, connectNow=False, noNodes=True)

    def close(self) -> None:
        """As the library does, without its pauses."""
        self._wantExit = True
        if self.stream is not None:
            with contextlib.suppress(Exception):
                self.stream.cancel_read()
        with contextlib.suppress(Exception):
            self._rxThread.join(0.7)
