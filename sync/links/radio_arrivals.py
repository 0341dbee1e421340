"""What a radio's packets bring, each once: frames for the session, telemetry of other nodes, the time of its own GPS.

`take` is called on the library's reader thread, `frames` on the link user's.
"""

from __future__ import annotations

import queue
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from sync.links.inbox import taken
from sync.links.port import Arrival

PRIVATE_APP = 256
"""The port number for an application's own data (portnums.proto)."""

TELEMETRY_APP = 67
"""That of what a node measures: its battery, and the sensors on it."""

POSITION_APP = 3
INTERNAL_GPS = 2
"""`Position.LocSource`: the radio's own receiver, not a person's hand and not a phone's guess."""

INBOX_FRAMES = 256
REMEMBERED_PACKETS = 512


class RadioArrivals:
    """Sorts packets by their port, and drops what the mesh delivers twice.

    Args:
        on_telemetry: gets the sender and the payload of every telemetry packet; None = they are passed over.
        on_gps_time: gets the Unix time of a position that the radio's own GPS found; likewise.
        on_hops: gets how many hops a frame took.
    """

    def __init__(
        self,
        *,
        on_telemetry: Callable[[int, bytes], None] | None,
        on_gps_time: Callable[[float], None] | None,
        on_hops: Callable[[int], None],
    ) -> None:
        self._on_telemetry, self._on_gps_time, self._on_hops = on_telemetry, on_gps_time, on_hops
        self._inbox: queue.Queue[Arrival] = queue.Queue(INBOX_FRAMES)
        self._seen: OrderedDict[tuple[int, int], None] = OrderedDict()

    def frames(self, timeout_s: float) -> Sequence[Arrival]:
        """The frames that have come in; waits up to that many real seconds for the first."""
        return taken(self._inbox, timeout_s)

    def take(self, packet: Any, *, own_node: int) -> None:
        """A decoded `mesh_pb2.MeshPacket` came from the radio.

        Args:
            packet: as the library gives it.
            own_node: the radio's own number; 0 before it has told it.
        """
        port = packet.decoded.portnum
        if port == POSITION_APP:
            self._take_position(packet, own_node)
            return
        sender = int(getattr(packet, "from"))
        if port not in {PRIVATE_APP, TELEMETRY_APP} or not packet.decoded.payload or not sender:
            return
        if self._came_before(sender, int(packet.id)):
            return
        if port == TELEMETRY_APP:
            if self._on_telemetry is not None:
                self._on_telemetry(sender, bytes(packet.decoded.payload))
            return
        if packet.hop_start:  # firmware before 2.3 does not tell
            self._on_hops(max(int(packet.hop_start) - int(packet.hop_limit), 0))
        try:
            self._inbox.put_nowait(Arrival(bytes(packet.decoded.payload), f"!{sender:08x}"))
        except queue.Full:
            return  # nobody takes them; the session will ask again

    def _came_before(self, sender: int, packet_id: int) -> bool:
        name = (sender, packet_id)
        if name in self._seen:
            return True
        self._seen[name] = None
        if len(self._seen) > REMEMBERED_PACKETS:
            self._seen.popitem(last=False)
        return False

    def _take_position(self, packet: Any, own_node: int) -> None:
        unix_s = own_gps_time(packet, own_node)
        if unix_s is not None and self._on_gps_time is not None:
            self._on_gps_time(unix_s)


def own_gps_time(packet: Any, own_node: int) -> float | None:
    """The Unix time of a position that the radio's own GPS found; None for any other packet.

    The firmware fills in `time` from a clock that GPS or better has set. A position that came over the air, which
    anybody may send in anybody's name, has a signal strength; what the radio itself says has none.
    """
    from google.protobuf.message import DecodeError
    from meshtastic.protobuf import mesh_pb2

    if not own_node or int(getattr(packet, "from")) != own_node or packet.rx_rssi or packet.rx_snr or packet.via_mqtt:
        return None
    position = mesh_pb2.Position()
    try:
        position.ParseFromString(packet.decoded.payload)
    except DecodeError:
        return None
    return float(position.time) if position.time and position.location_source == INTERNAL_GPS else None
