"""An MQTT message as the broker hands it on: what was published, by whom, and when it came in."""

from __future__ import annotations

from typing import NamedTuple

MESH = "mesh"
"""What the nodes that the kit's own radio hears stand behind: `mesh/da741924`."""


class Published(NamedTuple):
    """A message that a device published.

    Attributes:
        username: the authenticated user; a device's user name is its device name.
        client_id: the MQTT client identifier.
        topic: as published; the broker has already checked that `username` may publish there.
        payload: untouched bytes.
        qos: 0 is best effort, 1 and 2 are acknowledged after the commit.
        retain: whether it replaces the topic's retained message.
        duplicate: the DUP flag: the device may have sent this packet before.
        packet_id: None at QoS 0.
        received_ms: Unix ms by the kit's clock.
    """

    username: str
    client_id: str
    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    packet_id: int | None
    received_ms: int
