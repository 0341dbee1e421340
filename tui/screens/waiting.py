"""New devices: the join code with its picture, who waits, and the keys that let one in or turn it away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Label

from kit.errors import KitError
from kit.model.places import USUAL
from tui.detail_view import waiting_lines
from tui.facts import Facts, Newcomer
from tui.line import Line
from tui.messages import LookAgain
from tui.screens.detail import DetailScreen

TITLE = "New devices"


class WaitingScreen(DetailScreen):
    """Who waits.

    Args:
        facts: where they come from, and who lets them in.
        timezone: the village's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "let_in", "Let in"),
        Binding("x", "turn_away", "Turn away"),
        Binding("o", "other", "Other", show=False),
        Binding("c", "code", "Join code"),
    ]

    def __init__(self, facts: Facts, *, timezone: str = "UTC") -> None:
        super().__init__(TITLE, self._rows)
        self._facts, self._timezone = facts, timezone
        self._newcomers: list[Newcomer] = []
        self._chosen = 0

    def action_other(self) -> None:
        """The next one."""
        self._chosen = (self._chosen + 1) % max(1, len(self._newcomers))
        self.post_message(LookAgain())

    @work(thread=True)
    def action_code(self) -> None:
        """Have a join code to show."""
        self._do(self._facts.make_join_code, "type the code into the new device")

    @work(thread=True)
    def action_turn_away(self) -> None:
        """Turn the chosen one away."""
        newcomer = self._chosen_one()
        if newcomer is not None:
            self._do(lambda: self._facts.turn_away(newcomer.number), "turned away")

    def action_let_in(self) -> None:
        """Ask for name and place, then let the chosen one in."""
        newcomer = self._chosen_one()
        if newcomer is None:
            self.rename(f"{TITLE}: nobody waits")
        else:
            self.app.push_screen(NameScreen(newcomer), self._let_in)

    def _let_in(self, answer: tuple[int, str, str, str] | None) -> None:
        if answer is not None:
            self._accept(*answer)

    @work(thread=True)
    def _accept(self, number: int, name: str, place: str, position: str) -> None:
        self._do(lambda: self._facts.let_in(number, name, place, position), f"let in as {name}")

    def _do(self, change: Callable[[], None], done: str) -> None:
        try:
            change()
            told = done
        except (KitError, OSError, sqlite3.Error) as error:
            told = str(error)
        self.app.call_from_thread(self.rename, f"{TITLE}: {told}")
        self.post_message(LookAgain())

    def _chosen_one(self) -> Newcomer | None:
        return self._newcomers[min(self._chosen, len(self._newcomers) - 1)] if self._newcomers else None

    def _rows(self) -> list[Line]:
        self._newcomers = self._facts.newcomers()
        return waiting_lines(
            self._newcomers, chosen=self._chosen_one(), code=self._facts.join_code(), timezone=self._timezone
        )


class NameScreen(ModalScreen[tuple[int, str, str, str] | None]):
    """What a new device is called, and where it stands; Enter goes on, Esc leaves it waiting."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, newcomer: Newcomer) -> None:
        super().__init__()
        self._newcomer = newcomer

    def compose(self) -> ComposeResult:
        """Three fields."""
        with Vertical(id="naming"):
            yield Label(self._newcomer.reading or self._newcomer.kind or "not recognised yet")
            yield Label("Name")
            yield Input(value=self._newcomer.suggested, id="name", max_length=32, compact=True)
            yield Label(f"Place ({', '.join(USUAL)} …)")
            yield Input(id="place", max_length=60, compact=True)
            yield Label("On the map: latitude, longitude (or nothing)")
            yield Input(id="position", max_length=40, compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """On to the next field, or done."""
        following = {"name": "place", "place": "position"}.get(event.input.id or "")
        if following is not None:
            self.query_one(f"#{following}", Input).focus()
        else:
            name, place, position = (
                self.query_one(f"#{field}", Input).value for field in ("name", "place", "position")
            )
            self.dismiss((self._newcomer.number, name.strip(), place.strip(), position.strip()))

    def action_leave(self) -> None:
        """Leave it waiting."""
        self.dismiss(None)
