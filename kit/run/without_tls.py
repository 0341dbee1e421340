"""The modules of a broker that speaks no TLS, imported without OpenSSL, which it would else map and never use: 5 MB.

asyncio and hashlib are made to do without it, as on a machine that has none; SHA-256 and BLAKE2 are then Python's own.
A module is "not there" for as long as `sys.modules` says None (https://docs.python.org/3/reference/import.html); that
is taken back at once, so that whoever imports `ssl` later gets it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.settings import BrokerSettings

OPENSSL = ("ssl", "_ssl", "_hashlib")


def speaks_tls(settings: BrokerSettings) -> bool:
    """Whether the broker's process needs OpenSSL; an external broker may want anything."""
    return settings.kind != "own" or bool(settings.tls_listen)


def import_without_tls() -> None:
    """Call it before anything else is imported that would bring OpenSSL; what is there already stays as it is."""
    with _not_there(OPENSSL):
        import asyncio  # noqa: F401 - imported to be there
        import hashlib  # noqa: F401 - the same
        import secrets  # noqa: F401 - it and hmac ask for OpenSSL, too


@contextmanager
def _not_there(names: tuple[str, ...]) -> Iterator[None]:
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
