"""One screen for everything that is a list of lines: what needs a person, warnings, the queue, logs, the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from tui.line import Line, Tone, wrapped
from tui.panel import draw


class DetailScreen(Screen[None]):
    """A scrolling list.

    Args:
        title: what it shows.
        load: called in the poller's thread; what it returns is shown.
        follow: whether the end matters most (a log).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("home", "top", "Top", show=False),
        Binding("end", "bottom", "End", show=False),
    ]

    def __init__(self, title: str, load: Callable[[], list[Line]], *, follow: bool = False) -> None:
        super().__init__(name=title)
        self.load = load
        self._heading = title
        self._follow = follow
        self._lines: Sequence[Line] = [Line("Reading…")]

    def compose(self) -> ComposeResult:
        """A heading and the list."""
        yield Static(self._heading, id="heading")
        with VerticalScroll(id="scroll"):
            yield Static(id="lines")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """The list takes the arrow and page keys; a log stays at its end until the reader scrolls."""
        scroll = self.query_one("#scroll", VerticalScroll)
        scroll.focus()
        if self._follow:
            scroll.anchor()
        self._redraw()

    def rename(self, title: str) -> None:
        """Another heading."""
        self._heading = title
        self.query_one("#heading", Static).update(title)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines; a reader who has scrolled up stays where they are."""
        if list(lines) == list(self._lines):
            return
        self._lines = lines
        self._redraw()

    def show_failure(self, sentence: str) -> None:
        """Say that nothing could be read."""
        self.show([Line(f"! {sentence}", Tone.BAD)])

    def on_resize(self, event: events.Resize) -> None:
        """Fold anew."""
        del event
        self._redraw()

    def action_top(self) -> None:
        """To the first line."""
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)

    def action_bottom(self) -> None:
        """To the last line."""
        self.query_one("#scroll", VerticalScroll).scroll_end(animate=False)

    def _redraw(self) -> None:
        width = max(20, self.size.width - 4)  # the padding and the scroll bar
        self.query_one("#lines", Static).update(draw(wrapped(self._lines, width)))
