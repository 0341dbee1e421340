"""What can be wrong, and whose fault it is."""

from __future__ import annotations


class SyncError(Exception):
    """Something about the protocol is wrong; the message says what, and what to do."""


class LocalSyncError(SyncError):
    """We asked for something that cannot be done."""


class RemoteSyncError(SyncError):
    """What came in is no frame of ours, or breaks the protocol; it is counted and dropped."""


class ForeignFrame(RemoteSyncError):  # noqa: N818 - a fact about a frame, most often nobody's error
    """Not for us: another core's, another kit's, or no frame of this protocol at all."""


class ForgedFrame(RemoteSyncError):  # noqa: N818 - the same
    """Addressed to us, but not sealed by our peer, or damaged on the way."""


class ReplayedFrame(RemoteSyncError):  # noqa: N818 - the same
    """Sealed by our peer, but taken before, or so old that this cannot be known.

    Attributes:
        counter: the frame's.
        highest: the highest counter taken so far.
    """

    def __init__(self, counter: int, highest: int, *, too_old: bool) -> None:
        super().__init__(f"frame {counter} was taken before, or is too old to tell (the newest is {highest})")
        self.counter, self.highest, self.too_old = counter, highest, too_old


class MalformedFrame(RemoteSyncError):  # noqa: N818 - the same
    """Sealed by our peer, but its contents make no sense: a newer version, or a bug over there."""


class RecordTooLarge(LocalSyncError):  # noqa: N818 - the project's style
    """No link carries a record of this size."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"record is {size} bytes but a session carries at most {limit}; split it, or send it as a bundle by USB"
        )
        self.size, self.limit = size, limit


class InviteError(LocalSyncError):
    """This text is no invite that can be used."""
