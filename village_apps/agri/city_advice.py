"""Advice that the city has published: plain text is a page of its own, anything else a file to keep.

The first line of a text is its title, the rest what it says.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kit.errors import KitError
from kit.health.received_files import received_files
from kit.model.published import MAX_FILE_BYTES, PublishedFile

KIND = "advice"
TEXT = ".txt"
MAX_TEXT_BYTES = 16 * 1024
"""Some eight pages; a page must open at once on an old phone."""

TEXTS_KNOWN = 64
"""1 MiB at most."""

LONGEST_TITLE = 120
NEW_FOR_MS = 7 * 86_400_000


class AdviceError(KitError):
    """This cannot be published as advice; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One piece of advice.

    Attributes:
        name: of the file.
        title: its first line, or the file's name.
        text: the rest; None = it is no text that can be shown, only kept.
        by: who sent it, or "".
        at_ms: when it came, Unix ms.
    """

    name: str
    title: str
    text: str | None
    by: str
    at_ms: int

    def is_new(self, now_ms: int) -> bool:
        """Whether it came in the last days."""
        return now_ms - self.at_ms < NEW_FOR_MS


def advice_here(connection: sqlite3.Connection, content: Path) -> list[Advice]:
    """What has come, the newest first; a text that is none after all can still be kept as a file.

    Args:
        connection: to the unit's store.
        content: the home's `content`.
    """
    found: list[Advice] = []
    for file in received_files(connection):
        if file.kind != KIND:
            continue
        title, text = _shown(content / KIND / file.name)
        found.append(Advice(name=file.name, title=title, text=text, by=file.by, at_ms=file.at_ms))
    return found


def _shown(path: Path) -> tuple[str, str | None]:
    """Title and text; the file's name and None for what can only be kept."""
    if not path.name.endswith(TEXT):
        return path.name, None
    try:
        told = path.stat()
        return _read_once(path, told.st_mtime_ns, told.st_size)
    except (AdviceError, OSError):
        return path.name, None


@lru_cache(maxsize=TEXTS_KNOWN)
def _read_once(path: Path, _changed_ns: int, _size_bytes: int) -> tuple[str, str]:
    """Read once for each time that the file changed: the first page shows a title with every rendering."""
    return read_text(path.read_bytes(), path.name)


def read_text(content: bytes, name: str) -> tuple[str, str]:
    """Title and text.

    Raises:
        AdviceError: it is too long, empty, or no text.
    """
    if len(content) > MAX_TEXT_BYTES:
        raise AdviceError(
            f"{name} has {len(content)} bytes; advice that is shown as a page has at most {MAX_TEXT_BYTES}"
        )
    try:
        lines = content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").strip().split("\n")
    except UnicodeDecodeError as error:
        raise AdviceError(f"{name} is no UTF-8 text; save it as UTF-8") from error
    title, text = lines[0].strip(), "\n".join(lines[1:]).strip()
    if not title or not text:
        raise AdviceError(f"{name}: write a title in the first line, and below it what to do")
    if len(title) > LONGEST_TITLE:
        raise AdviceError(
            f"{name}: its first line is the title, and has {len(title)} characters; at most {LONGEST_TITLE}"
        )
    return title, text


def prepare_advice(path: Path) -> PublishedFile:
    """What `kit core publish --kind advice` sends for that file.

    Raises:
        AdviceError: it cannot be read, or is a text that could not be shown.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise AdviceError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise AdviceError(f"{path} is larger than {MAX_FILE_BYTES} bytes; publish it in parts")
    if path.name.endswith(TEXT):
        read_text(content, path.name)
    return PublishedFile(name=path.name, content=content)
