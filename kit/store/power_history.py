"""Unclean ends: the ledgers they left behind, and the history of how each was settled.

The history is a file of its own, `ledger/history.json`, because it must outlive a store that is replaced by a backup.
It is replaced whole, and is on the disk before the ledgers it settles are deleted; each event carries the ledgers'
tokens, so that one settled twice (killed in between) is told once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.model.ledger import LedgerFile, decode_ledger
from kit.store.ledger import SUFFIX, flush_folder

HISTORY = "history.json"
KEPT = 300
"""Events; years of a village with a power cut a week."""


@dataclass(frozen=True)
class DeadLedger:
    """The files of a process that did not end cleanly, the oldest first."""

    token: str
    paths: Sequence[Path]
    files: Sequence[LedgerFile]

    @property
    def boot(self) -> str:
        """In which life of the machine it was written."""
        return self.files[-1].boot

    @property
    def last_ms(self) -> int:
        """The last sign of life, Unix ms."""
        return max(file.last_ms for file in self.files)


def dead_ledgers(folder: Path) -> list[DeadLedger]:
    """Those whose process is gone: a living one holds a lock on its files."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        groups.setdefault(path.stem.rpartition("-")[0], []).append(path)
    dead = []
    for stem, paths in groups.items():
        contents = [content for path in paths if (content := _content_of_the_dead(path)) is not None]
        if len(contents) < len(paths):
            continue
        files = [told for told in map(decode_ledger, contents) if told.process]
        if files:
            dead.append(DeadLedger(stem.rpartition("-")[2], paths, files))
    return dead


def history(folder: Path) -> list[dict[str, Any]]:
    """Every unclean end that was settled, the oldest first; empty where there is none, or none that can be read."""
    try:
        told = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [dict(event) for event in told if isinstance(event, dict)] if isinstance(told, list) else []


def settle(folder: Path, event: Mapping[str, Any], dead: Iterable[DeadLedger] = ()) -> None:
    """Add the event to the history, or replace the one of the same `id`; then delete the ledgers it settles.

    Raises:
        OSError: it cannot be written; the ledgers are kept.
    """
    folder.mkdir(exist_ok=True)
    kept = [each for each in history(folder) if each.get("id") != event["id"]]
    text = json.dumps([*kept, dict(event)][-KEPT:], indent=1)
    temporary = folder / f"{HISTORY}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(folder / HISTORY)
    flush_folder(folder)
    for ledger in dead:
        for path in ledger.paths:
            path.unlink(missing_ok=True)


def _content_of_the_dead(path: Path) -> bytes | None:
    """The file's bytes, or None if a living process holds it."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return stream.read()
    return None
