"""A link with somebody's hand on it: whoever wraps a link says only what it does otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.links.port import Link, LinkState


class Wrapped:
    """All of a link but `receive`, handed through.

    Args:
        link: any.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.name, self.mtu_bytes = link.name, link.mtu_bytes

    @property
    def lowest_priority(self) -> int:
        """The link's."""
        return self._link.lowest_priority

    def open(self) -> None:
        """Open the link."""
        self._link.open()

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def state(self) -> LinkState:
        """The link's."""
        return self._link.state()

    def explain(self) -> str:
        """The link's."""
        return self._link.explain()

    def fault(self) -> str:
        """The link's, if it tells."""
        told = getattr(self._link, "fault", None)
        return "" if told is None else str(told())

    def facts(self) -> Mapping[str, Any]:
        """The link's, if it tells."""
        told = getattr(self._link, "facts", None)
        return {} if told is None else told()

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """By the link."""
        return self._link.send(frame, priority=priority, to=to)
