"""The home screen: everything a technician asks first, without scrolling, at 80×24 and at 40×20."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from tui import home_view
from tui.line import Line, Tone
from tui.panel import Panel, draw


class HomeScreen(Screen[None]):
    """Panels that follow the status."""

    def compose(self) -> ComposeResult:
        """The panels, in the order in which they matter."""
        yield Panel(home_view.header, name="header")
        yield Panel(home_view.needs, name="needs", rows=3, narrow_rows=3)
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield Panel(home_view.tonight, name="tonight", title="Tonight", rows=5, narrow_rows=2)
                yield Panel(home_view.unit, name="unit", title="Unit", rows=None, narrow_rows=2)
            with Vertical(id="right"):
                yield Panel(home_view.services, name="services", title="Services", rows=5, narrow_rows=2)
                yield Panel(home_view.sensors, name="sensors", title="Sensors", rows=None, narrow_rows=None)
        yield Panel(home_view.sync, name="sync", title="Sync", rows=4, narrow_rows=3)
        yield Footer(compact=True, show_command_palette=False)

    def show(self, status: Mapping[str, Any]) -> None:
        """Draw this status everywhere."""
        for panel in self.query(Panel):
            panel.show(status)

    def show_failure(self, sentence: str) -> None:
        """Say that nothing could be read; the rest of the screen keeps what was last known."""
        self.query_one("#needs", Panel).update(draw([Line(f"! {sentence}", Tone.BAD)]))
