"""How devices speak. One small pure module per dialect; the first that claims a topic reads the message."""

from __future__ import annotations

from kit.collect.dialects import senml
from kit.collect.dialects.port import Dialect

DIALECTS: tuple[Dialect, ...] = (senml.DIALECT,)
"""In the order they are asked. A new dialect is a module here and a name in this line."""


def find_dialect(topic: str, dialects: tuple[Dialect, ...] = DIALECTS) -> tuple[Dialect, str] | None:
    """The dialect spoken on a topic, and the device's name; None for a topic that carries no readings."""
    for dialect in dialects:
        device = dialect.device(topic)
        if device is not None:
            return dialect, device
    return None
