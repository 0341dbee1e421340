"""What the operating system or SQLite said, as a sentence with what to do.

Mishaps from outside the program are explained. Anything else is our own defect: its traceback goes to a file, because
it helps whoever mends it and frightens whoever reads it.
"""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Sequence
from pathlib import Path

from kit.disk import full_words, says_full
from kit.home import Home, explain_home_error, find_home

CRASH_FILE = "kit-crash.txt"
"""Below the home's `log/`; the last defect only."""


def explain_mishap(error: Exception, words: Sequence[str]) -> str:
    """The sentence for `error`; `words` are the command line, which may name the home."""
    home = find_home(_home_word(words))
    if _nothing_can_be_stored(error):
        return f"{full_words(home.path)}, so nothing was stored; free some space, then try again"
    if isinstance(error, sqlite3.Error):
        from kit.store.database import suspect

        suspect(home.database, error)
        return _explain_sqlite(error)
    if isinstance(error, OSError) and error.strerror:
        return _explain_system(error, home.path)
    if _comes_from_a_device_or_link(error):
        return str(error)
    return _keep_defect(error, home)


def _explain_system(error: OSError, home: Path) -> str:
    file = Path(str(error.filename)) if error.filename else None
    if file is None or home in (file, *file.parents):
        return explain_home_error(home if file is None else file, error)
    return f"{file}: {error.strerror}"


def _explain_sqlite(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return "the store is busy (another process is writing); try again in a minute"
    if "full" in text:
        return "the disk that holds the store is full; free some space, then run `kit doctor`"
    if "malformed" in text or "not a database" in text:
        return "the store is damaged; a running unit mends it by itself within minutes, so start it: kit run"
    if "no such table" in text or "no such column" in text:
        return f"the store was made by another version of the kit ({text}); start the unit once with `kit run`"
    if "readonly" in text:
        return "the store cannot be written by this user; use the user the unit runs as"
    return f"the store answers: {text}; run `kit doctor`"


def _nothing_can_be_stored(error: Exception) -> bool:
    from sync.protocol.records import CannotStoreNow

    return isinstance(error, CannotStoreNow) or (
        isinstance(error, sqlite3.Error) and says_full(error) and error.sqlite_errorname == "SQLITE_FULL"
    )


def _comes_from_a_device_or_link(error: Exception) -> bool:
    from hardware.ports import HardwareError
    from kit.bus import BusError
    from sync.links.port import LinkError

    return isinstance(error, BusError | HardwareError | LinkError)


def _keep_defect(error: Exception, home: Home) -> str:
    file = home.log / CRASH_FILE
    what = f"this is a defect of the kit ({type(error).__name__}: {error})"
    try:
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{what} at {last.filename}:{last.lineno}; please report it"
    return f"{what}; please report it with {file}"


def _home_word(words: Sequence[str]) -> str | None:
    for at, word in enumerate(words):
        if word == "--home" and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--home="):
            return word.removeprefix("--home=")
    return None
