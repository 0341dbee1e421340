"""What the broker needs from outside: a place to write things down, and somebody who knows the passwords."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.broker.changes import Change, Fact, Saved
from kit.model.grants import Grants


class JournalError(Exception):
    """Nothing was written; the sentence says why (disk full, database locked…)."""


class JournalBusyError(JournalError):
    """Somebody else is writing, and the caller did not want to wait for that."""


class Journal(Protocol):
    """Keeps what must survive SIGKILL and a power cut. Called from one thread at a time, not always the same."""

    def load(self) -> Saved:
        """Everything written so far.

        Raises:
            JournalError: it cannot be read.
        """
        ...

    def commit(
        self,
        changes: Sequence[Change | Fact],
        *,
        patient: bool = True,
        at_disk: Callable[[], object] | None = None,
    ) -> None:
        """Write all of it in one transaction; on disk when this returns.

        Args:
            changes: to be written, in their order.
            patient: wait for whoever else is writing.
            at_disk: called when the work is done and only the disk is waited for.

        Raises:
            JournalBusyError: somebody else is writing, and `patient` is false; nothing was begun.
            JournalError: none of it was written.
        """
        ...


class Claim(NamedTuple):
    """Who a client says it is.

    Attributes:
        username, password: as in its CONNECT; None if it gave none.
        client_id: as in its CONNECT, perhaps empty.
        address: where it connects from.
        open: it came through the listener for devices that cannot use a password.
    """

    username: str | None
    password: bytes | None
    client_id: str = ""
    address: str = ""
    open: bool = False


class Mark(NamedTuple):
    """By what a client was let in.

    Attributes:
        holder: of the user and its rights; changes when it is removed and added again, or when its grants change.
        secret: of its password; changes when that is replaced.
    """

    holder: str
    secret: str


class Pass(NamedTuple):
    """A client that may come in.

    Attributes:
        username: who it is to the broker; not always what it called itself.
        mark: by what it was let in.
        grants: what it may do; None = what a native device of that name may.
    """

    username: str
    mark: Mark
    grants: Grants | None = None


class Users(Protocol):
    """Knows who may sign in. Called from one thread at a time, not the event loop's."""

    def sign_in(self, claim: Claim) -> Pass | None:
        """Let a client in, or None if what it says is wrong."""
        ...

    def marks(self) -> Mapping[str, Mark]:
        """The present mark of every user; a connection whose user has another, or none, is closed.

        Its sessions end, too, unless only the secret has changed.
        """
        ...
