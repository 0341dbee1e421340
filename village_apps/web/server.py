"""The kit's WSGI server: waitress, because of four measured it alone kept serving beside 150 slow phones.

waitress buffers a slow body or a slow reader in its one event loop, so that a phone at the edge of the Wi-Fi occupies
memory and never one of the few threads.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.settings import WebSettings, listen_address

if TYPE_CHECKING:
    from flask import Flask

CONNECTIONS = 500
"""Phones in one village at once, each with two or three connections; far below what one process may open."""

REQUEST_BYTES = 1_000_000
"""The largest body that waitress reads at all; pages that take less say so themselves."""

STOP_WITHIN_S = 0.25
"""How often, in real seconds, the loop looks whether it shall stop."""


def serve_until(
    app: Flask,
    settings: WebSettings,
    stop: threading.Event,
    *,
    listening: Callable[[str, int], None] | None = None,
    key: str = "[web] listen",
) -> None:
    """See `village_apps.web.serve`; `key` names the setting that the address comes from, for errors."""
    from waitress import create_server, wasyncore  # type: ignore[import-untyped]  # it ships no type information

    # a line for every request that waits its turn: on the evening of a warning, thousands, all on the SD card
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    connections: dict[int, Any] = {}
    listener = _listen(settings.listen, key)
    server = create_server(
        app,
        map=connections,
        sockets=[listener],
        threads=settings.threads,
        connection_limit=CONNECTIONS,
        max_request_body_size=REQUEST_BYTES,
        max_request_header_size=16_384,
        channel_timeout=60,
        asyncore_use_poll=True,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    try:
        if listening is not None:
            listening(*listener.getsockname()[:2])
        while not stop.is_set():
            wasyncore.loop(timeout=STOP_WITHIN_S, use_poll=True, map=connections, count=1)
    finally:
        server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(connections)
        listener.close()


def _listen(listen: str, key: str) -> socket.socket:
    host, port = listen_address(listen, key=key)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # a restarted service must not wait for the kernel to forget its old connections
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise KitError(_why_not(listen, key, error)) from error
    listener.settimeout(0)  # waitress waits in poll(), never in accept()
    return listener


def _why_not(listen: str, key: str, error: OSError) -> str:
    setting = f'{key} = "{listen}"'
    if error.errno == errno.EADDRINUSE:
        return f"{setting}: another program already listens there; stop it, or choose another port in kit.toml"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{setting}: ports below 1024 belong to the system; choose a higher port in kit.toml, such as 8080"
    if error.errno == errno.EADDRNOTAVAIL:
        return f'{setting}: this machine does not have that address; "0.0.0.0" in kit.toml means all of them'
    return f"{setting}: cannot listen there ({error.strerror or error}); change it in kit.toml"
