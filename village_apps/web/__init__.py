"""The web frame: what every app's pages share (language, look, cache, safety) and the server.

`create_app` and `serve` import Flask and waitress only when called, so that declaring an app stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from flask import Flask

    from kit.settings import Settings
    from village_apps.app import AppContext, VillageApp

PHRASES = Path(__file__).parent / "phrases"
"""The frame's own catalogues."""


def create_app(context: AppContext, apps: Sequence[VillageApp]) -> Flask:
    """The WSGI application with these apps' pages."""
    from village_apps.web.factory import build_app

    return build_app(context, apps)


def serve(
    app: Flask, settings: Settings, stop: threading.Event, *, listening: Callable[[str, int], None] | None = None
) -> None:
    """Answer phones until `stop` is set.

    Args:
        app: made by `create_app`.
        settings: `[web] listen` and `threads`.
        stop: set it (from a signal handler or another thread) to end within half a second.
        listening: told the address and the port once connections are accepted.

    Raises:
        KitError: the address cannot be used; the sentence says why and names the setting.
    """
    from village_apps.web.server import serve_until

    serve_until(app, settings.web, stop, listening=listening)
