"""What the broker needs from outside: a place to write things down, and somebody who knows the passwords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from kit.broker.changes import Change, Fact, Saved


class JournalError(Exception):
    """Nothing was written; the sentence says why (disk full, database locked…)."""


class Journal(Protocol):
    """Keeps what must survive SIGKILL and a power cut. Called from one thread at a time, not the event loop's."""

    def load(self) -> Saved:
        """Everything written so far.

        Raises:
            JournalError: it cannot be read.
        """
        ...

    def commit(self, changes: Sequence[Change | Fact]) -> None:
        """Write all of it in one transaction; on disk when this returns.

        Raises:
            JournalError: none of it was written.
        """
        ...


class Users(Protocol):
    """Knows who may sign in. Called from one thread at a time, not the event loop's."""

    def sign_in(self, username: str, password: bytes) -> str | None:
        """A mark of the credentials (changes when the user is removed and added again), or None if they are wrong."""
        ...

    def marks(self) -> Mapping[str, str]:
        """The present mark of every user; a connection whose user has another, or none, is closed."""
        ...
