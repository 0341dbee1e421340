"""The errors a person is shown.

Every message says what was wrong and what to do, so that `kit` can print it as it is, without a traceback.
"""

from __future__ import annotations


class KitError(Exception):
    """Something outside the program is wrong (a file, a port, a disk): the command ends with exit code 1."""

    exit_code = 1


class NoRoomError(KitError):
    """The disk has less room than something takes; it is worth waiting for, because it goes on by itself then."""

    def __init__(self, sentence: str, *, needs_bytes: int) -> None:
        super().__init__(sentence)
        self.needs_bytes = needs_bytes


class UsageError(KitError):
    """The command or a setting was written wrongly: the command ends with exit code 2."""

    exit_code = 2


class SettingsError(UsageError):
    """`kit.toml` holds something the kit does not know or cannot use."""
