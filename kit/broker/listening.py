"""The sentence for an address that the broker cannot listen on."""

from __future__ import annotations

import errno


def explain_listen_error(host: str, port: int, error: OSError) -> str:
    """Which address it was, why, and which setting to change."""
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"the broker cannot listen on {where}: another program already does; stop it (`ss -ltnp` shows which), "
            f'or set another port with listen = "{host}:PORT" below [broker] in kit.toml'
        )
    if error.errno == errno.EACCES:
        return f"the broker may not listen on {where}; set a port above 1023 with listen below [broker] in kit.toml"
    return (
        f"the broker cannot listen on {where} ({error.strerror}); "
        f"set an address of this machine with listen below [broker] in kit.toml"
    )
