"""A telemetry packet of the mesh (telemetry.proto), as the names and numbers that it holds.

Importing this costs what the library's protobuf costs; the sync service has paid for it already.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import DecodeError
from meshtastic.protobuf import telemetry_pb2


class Telemetry(NamedTuple):
    """What a node measured.

    Attributes:
        time_s: Unix seconds by its own clock; 0 = it does not know the time.
        metrics: the fields that are set, by their names in telemetry.proto.
    """

    time_s: int
    metrics: dict[str, float]


def read_telemetry(payload: bytes) -> Telemetry | None:
    """The packet's fields; None if it cannot be read or holds nothing that is measured."""
    told = telemetry_pb2.Telemetry()
    try:
        told.ParseFromString(payload)
    except DecodeError:
        return None
    variant = told.WhichOneof("variant")
    if variant is None:
        return None
    metrics = {
        field.name: float(value)
        for field, value in getattr(told, variant).ListFields()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Telemetry(int(told.time), metrics) if metrics else None
