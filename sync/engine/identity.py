"""Who an engine is, and the secrets that it draws for one life."""

from __future__ import annotations

import os
from typing import Protocol


class HeldIdentity(Protocol):
    """Who we are (`kit.identity.Identity`)."""

    @property
    def unit(self) -> str:
        """Our id."""
        ...

    @property
    def exchange_private(self) -> bytes:
        """X25519, 32 bytes."""
        ...

    @property
    def exchange_public(self) -> bytes:
        """X25519, 32 bytes."""
        ...


def random_key() -> bytes:
    """Draw an X25519 private key from the operating system. It is never written down, so it cannot be stolen later."""
    return os.urandom(32)


def random_salt() -> int:
    """Draw 32 bits from the operating system: a salt must not come from a generator that a restart can repeat."""
    return int.from_bytes(os.urandom(4), "big")
