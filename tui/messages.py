"""What the poller tells the screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.message import Message
from textual.screen import Screen

from tui.line import Line


class LookAgain(Message):
    """A screen wants to show something else: read now, not at the next turn."""


@dataclass
class StatusArrived(Message):
    """A new status was read."""

    status: dict[str, Any]


@dataclass
class DetailArrived(Message):
    """The lines of a detail screen were read."""

    screen: Screen[None]
    lines: list[Line]


@dataclass
class FactsFailed(Message):
    """Nothing could be read; the sentence says why. What was last read stays on the screen."""

    sentence: str
