"""The queue: filtered by priority, each record with why it waits, and a key to send again now."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from kit.errors import KitError
from kit.health.words import PRIORITY_WORDS
from tui.detail_view import queue_lines
from tui.facts import Facts
from tui.line import Line
from tui.messages import LookAgain
from tui.screens.detail import DetailScreen


@dataclass(frozen=True)
class Filter:
    """What the queue shows."""

    title: str
    what: str
    priority: int | None = None
    waiting_only: bool = True


FILTERS = (
    Filter("Waiting to leave", ""),
    *(Filter(f"Waiting: {word}", f"no {word} wait", number) for number, word in enumerate(PRIORITY_WORDS)),
    Filter("All, also what has arrived", "nothing was written yet", waiting_only=False),
)


class QueueScreen(DetailScreen):
    """The records.

    Args:
        facts: where they come from.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "Filter"),
        Binding("t", "again", "Send again"),
    ]

    def __init__(self, facts: Facts) -> None:
        super().__init__(FILTERS[0].title, self._rows)
        self._facts = facts
        self._chosen = 0

    def action_filter(self) -> None:
        """The next filter."""
        self._chosen = (self._chosen + 1) % len(FILTERS)
        self.rename(FILTERS[self._chosen].title)
        self.show([Line("Reading…")])
        self.post_message(LookAgain())

    @work(thread=True)
    def action_again(self) -> None:
        """Send again now: asked of the sync service, so it is done whether this screen stays open or not."""
        try:
            count = self._facts.retry()
            told = f"{count} records are due now" if count else "nothing waits"
        except (KitError, OSError, sqlite3.Error) as error:
            told = f"that could not be asked for: {error}"
        # in the heading: a pop-up would cover the lines that a small terminal has
        self.app.call_from_thread(self.rename, f"{FILTERS[self._chosen].title}: {told}")

    def _rows(self) -> list[Line]:
        chosen = FILTERS[self._chosen]
        return queue_lines(
            self._facts.queue(priority=chosen.priority, waiting_only=chosen.waiting_only), what=chosen.what
        )
