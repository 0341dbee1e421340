"""A panel of the home screen: draws what a view function says about the latest status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from textual import events
from textual.content import Content
from textual.widgets import Static

from tui.line import Line, Shape, Tone

STYLES = {
    Tone.PLAIN: "",
    Tone.HEAD: "bold",
    Tone.GOOD: "ansi_green",
    # both colours are given, so that it reads on a light and on a dark terminal; bold black is grey on many
    Tone.WARN: "ansi_black on ansi_yellow",
    Tone.BAD: "bold ansi_bright_white on ansi_red",
    Tone.PAPER: "ansi_bright_white on ansi_black",
}
"""Only the sixteen colours that every terminal has."""

View = Callable[[Mapping[str, Any], Shape], list[Line]]


def draw(lines: Iterable[Line]) -> Content:
    """Lines as Textual shows them."""
    return Content("\n").join(Content.styled(line.text, STYLES[line.tone]) for line in lines)


class Panel(Static):
    """A piece of the home screen.

    Args:
        view: what it says.
        name: its id in the style sheet.
        title: shown in its frame where there is room for frames.
        rows: at most so many lines in a wide terminal; None = as many as it is given.
        narrow_rows: the same in a narrow one.
    """

    def __init__(
        self, view: View, *, name: str, title: str = "", rows: int | None = 1, narrow_rows: int | None = 1
    ) -> None:
        super().__init__("", id=name)
        self.border_title = title
        self._view = view
        self._rows = rows
        self._narrow_rows = narrow_rows
        self._status: Mapping[str, Any] | None = None

    def show(self, status: Mapping[str, Any]) -> None:
        """Draw this status."""
        self._status = status
        self._redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Draw again, as much as there is room for."""
        del event
        self._redraw()

    def _redraw(self) -> None:
        if self._status is None or not self.content_size.width:
            return
        narrow = self.screen.has_class("-narrow")
        most = self._narrow_rows if narrow else self._rows
        rows = most if most is not None else max(1, self.content_size.height)
        self.update(draw(self._view(self._status, Shape(self.content_size.width, rows, narrow))))
