"""The radio's own GPS tells the time; nobody else's position does."""

from __future__ import annotations

from typing import Any

import pytest
from meshtastic.protobuf import mesh_pb2

from sync.links.radio_arrivals import POSITION_APP, own_gps_time

GPS_S = 1_795_000_000
OWN = 0x11112222


def _position(**changes: Any) -> Any:
    place = mesh_pb2.Position(time=GPS_S, location_source=changes.pop("source", 2))
    sender = changes.pop("sender", OWN)
    packet = mesh_pb2.MeshPacket(to=0xFFFFFFFF, id=7, **changes)
    setattr(packet, "from", sender)
    packet.decoded.portnum = POSITION_APP
    packet.decoded.payload = place.SerializeToString()
    return packet


def test_the_radios_own_gps_is_believed() -> None:
    assert own_gps_time(_position(), OWN) == GPS_S


@pytest.mark.parametrize(
    "changes",
    [{"sender": 0x33334444}, {"rx_rssi": -90}, {"rx_snr": 4.5}, {"via_mqtt": True}, {"source": 1}, {"source": 3}],
)
def test_whatever_came_over_the_air_or_was_set_by_hand_is_not(changes: dict[str, Any]) -> None:
    assert own_gps_time(_position(**changes), OWN) is None


def test_bytes_that_are_no_position_say_nothing() -> None:
    packet = _position()
    packet.decoded.payload = b"\xff\xff\xff"
    assert own_gps_time(packet, OWN) is None
    assert own_gps_time(_position(), 0) is None


def test_a_radio_with_a_gps_tells_the_kit_through_the_link(radios: Any, wait: Any) -> None:
    told: list[float] = []
    link = radios.link(0, on_gps_time=told.append)
    link.open()
    wait(lambda: link.state().value == "up", what=link.explain())
    radios.set(gps_s=GPS_S)
    radios.do(0, "position")
    wait(lambda: told, what="the radio's position")
    assert told == [GPS_S]
