"""`kit tui`: the screens, the keys, and the thread that reads the store once a second.

The screen's own thread never touches the disk: a slow SD card must not freeze the keys. What the reading thread finds
comes back as typed messages.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import get_current_worker

from kit.clock import Clock
from kit.errors import KitError
from kit.home import Home
from kit.settings import Settings
from tui import detail_view
from tui.facts import Facts, UnitFacts
from tui.line import Line
from tui.messages import DetailArrived, FactsFailed, LookAgain, StatusArrived
from tui.screens.detail import DetailScreen
from tui.screens.home import HomeScreen
from tui.screens.queue import QueueScreen
from tui.screens.waiting import WaitingScreen

POLL_S = 1.0
"""Real seconds between two looks: what a person feels as live."""

WIDE = 72
"""Columns from which panels stand side by side."""


class KitApp(App[None]):
    """The technician's screen.

    Args:
        facts: where everything shown comes from.
        poll_s: real seconds between two looks.
    """

    TITLE = "Village kit"
    CSS_PATH = "kit.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual does not declare it a ClassVar
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("r", "look", "Refresh", show=False),
        Binding("n", "needs", "Needs", show=False),  # the line about what needs you names the key
        Binding("a", "alerts", "Alerts"),
        Binding("k", "queue", "Queue"),
        Binding("w", "waiting", "New devices", show=False),  # the line about what needs you names the key
        Binding("l", "log", "Log"),
        Binding("p", "power", "Power cuts", show=False),
    ]

    def __init__(self, facts: Facts, *, poll_s: float = POLL_S) -> None:
        super().__init__()
        self._facts = facts
        self._poll_s = poll_s
        self._wake = threading.Event()
        self._status: dict[str, Any] = {}
        self._home = HomeScreen()

    def on_mount(self) -> None:
        """Show the home screen and start reading."""
        self.theme = "ansi-dark"  # the terminal's own sixteen colours
        self.push_screen(self._home)
        self._read()

    def on_unmount(self) -> None:
        """Let the reading thread end at once."""
        self._wake.set()

    @work(thread=True, exclusive=True, exit_on_error=True)
    def _read(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled and self.is_running:
            self._wake.clear()
            self._look_once()
            self._wake.wait(self._poll_s)

    def _look_once(self) -> None:
        try:
            self.post_message(StatusArrived(self._facts.status()))
            screen = self.screen_stack[-1] if self.screen_stack else None
            if isinstance(screen, DetailScreen):
                self.post_message(DetailArrived(screen, screen.load()))
        except (KitError, OSError, sqlite3.Error) as error:
            self.post_message(FactsFailed(f"cannot be read now: {error}"))

    def on_status_arrived(self, message: StatusArrived) -> None:
        """Draw it."""
        self._status = message.status
        self._home.show(message.status)

    def on_detail_arrived(self, message: DetailArrived) -> None:
        """Draw it, unless the person has left the screen meanwhile, perhaps for another one."""
        if isinstance(self.screen, DetailScreen) and self.screen is message.screen:
            self.screen.show(message.lines)

    def on_facts_failed(self, message: FactsFailed) -> None:
        """Say so where the person looks."""
        if isinstance(self.screen, HomeScreen | DetailScreen):
            self.screen.show_failure(message.sentence)

    def on_look_again(self, message: LookAgain) -> None:
        """Look again now."""
        del message
        self._wake.set()

    def action_look(self) -> None:
        """Look again now."""
        self._wake.set()

    def action_needs(self) -> None:
        """What needs a person, whole."""
        self._open("What needs you", lambda: detail_view.needs_lines(self._status))

    def action_alerts(self) -> None:
        """The warnings."""
        self._open("Warnings", self._alert_lines)

    def action_queue(self) -> None:
        """The queue."""
        self._show(QueueScreen(self._facts))

    def action_waiting(self) -> None:
        """New devices."""
        self._show(WaitingScreen(self._facts, timezone=self._timezone))

    def action_log(self) -> None:
        """The logs."""
        self._open("Logs", lambda: detail_view.log_lines(self._facts.logs(), timezone=self._timezone), follow=True)

    def action_power(self) -> None:
        """The power cuts."""
        self._open("Power cuts", lambda: detail_view.power_lines(self._status))

    def action_keys(self) -> None:
        """The keys."""
        self._open("Keys", detail_view.key_lines)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette (Ctrl+P) offers."""
        del screen
        yield SystemCommand("Alerts", "Warnings, and who has seen them", self.action_alerts)
        yield SystemCommand("Queue", "Each record and how far it has come", self.action_queue)
        yield SystemCommand("New devices", "The join code, and who waits to be let in", self.action_waiting)
        yield SystemCommand("Log", "The services' logs", self.action_log)
        yield SystemCommand("Power cuts", "What was acknowledged before each, and found after", self.action_power)
        yield SystemCommand("Needs you", "What needs a person, in whole sentences", self.action_needs)
        yield SystemCommand("Refresh", "Look again now", self.action_look)
        yield SystemCommand("Keys", "Which key does what", self.action_keys)
        yield SystemCommand("Quit", "Leave; the unit goes on", self.action_quit)

    def _open(self, title: str, load: Callable[[], list[Line]], *, follow: bool = False) -> None:
        self._show(DetailScreen(title, load, follow=follow))

    @property
    def _timezone(self) -> str:
        return str(self._status.get("timezone") or "UTC")

    def _show(self, screen: DetailScreen) -> None:
        if isinstance(self.screen, DetailScreen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)
        self._wake.set()

    def _alert_lines(self) -> list[Line]:
        return detail_view.alert_lines(
            self._facts.alerts(),
            now=self._status.get("time"),
            timezone=self._timezone,
        )


def run_tui(
    home: Home,
    settings: Settings,
    clock: Clock,
    *,
    app_lines: Callable[[], list[dict[str, Any]]] | None = None,
) -> None:
    """Show that unit until the person leaves."""
    KitApp(UnitFacts(home, settings, clock, app_lines)).run()
