"""Where the broker listens, and the sentence for an address on which it cannot."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address to listen on.

    Attributes:
        host: of this machine.
        port: 0 = any free one.
        setting: the key below [broker] that names it.
        tls: certificate and key, if the connection is encrypted.
        websocket: MQTT comes in WebSocket frames.
        open: for devices that cannot use a password.
    """

    host: str
    port: int
    setting: str = "listen"
    tls: ssl.SSLContext | None = None
    websocket: bool = False
    open: bool = False


def explain_listen_error(listener: Listener, error: OSError) -> str:
    """Which address it was, why, and which setting to change."""
    host, setting = listener.host, listener.setting
    where = f"{host}:{listener.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"the broker cannot listen on {where}: another program already does; stop it (`ss -ltnp` shows which), "
            f'or set another port with {setting} = "{host}:PORT" below [broker] in kit.toml'
        )
    if error.errno == errno.EACCES:
        return f"the broker may not listen on {where}; set a port above 1023 with {setting} below [broker] in kit.toml"
    return (
        f"the broker cannot listen on {where} ({error.strerror}); "
        f"set an address of this machine with {setting} below [broker] in kit.toml"
    )
