"""A disk that forgets what was not synced, for the kit's real processes.

`shim.c` is preloaded into them and keeps a journal of unsynced writes; `power_cut` takes these back, as the cache of
an SD card or a kernel would lose them. What survives a `kill -9` alone says nothing about the plug: the kernel keeps
every write of a killed process. Here only what was synced is safe.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

SOURCE = Path(__file__).parent / "shim.c"
_HEAD = struct.Struct("=QQQQQ")
_WRITE = 1

SECTOR = 512
"""A write reaches the disk in sectors; after a power cut some of one write may be there and some not."""


class Kept(Enum):
    """What a power cut leaves of the unsynced writes of a file."""

    NOTHING = "nothing"
    FIRST = "the first ones"
    SOME = "any of them, torn at sectors"


@dataclass(frozen=True)
class Write:
    """An unsynced change: bytes at an offset, or (`new` is None) a resize to `offset`."""

    offset: int
    size_before: int
    old: bytes
    new: bytes | None


def compiler() -> str | None:
    """The C compiler that the shim needs, if this machine has one."""
    return shutil.which("cc") or shutil.which("gcc")


class ForgetfulDisk:
    """Files below `root`, as seen by processes started with `environment`.

    Args:
        root: the directory whose files forget; made if missing.
        scratch: where the shim and its journals go; on the same machine, outside of `root`.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self._journals = scratch / "journals"
        self._journals.mkdir(parents=True, exist_ok=True)
        self._shim = scratch / "forgetful.so"
        command = compiler()
        if command is None:
            raise RuntimeError("a C compiler is needed: apt-get install gcc libc6-dev")
        subprocess.run([command, "-O2", "-shared", "-fPIC", "-o", self._shim, SOURCE, "-ldl"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        """For `subprocess.Popen(env=…)`."""
        return {
            **os.environ,
            "LD_PRELOAD": str(self._shim),
            "FORGETFUL_ROOT": str(self.root),
            "FORGETFUL_JOURNALS": str(self._journals),
        }

    def power_cut(self, rng: random.Random) -> int:
        """Lose what was not synced. Every process of the unit must be dead. Returns how many writes were unsynced."""
        names = {entry.stat().st_ino: entry for entry in self._files()}
        lost = 0
        for journal in self._journals.iterdir():
            writes = list(_read(journal.read_bytes()))
            file = names.get(int(journal.name))
            journal.unlink()
            if file is None or not writes:
                continue
            lost += len(writes)
            _take_back(file, writes, rng.choice(list(Kept)), rng)
        for leftover in self.root.rglob("*-shm"):  # SQLite's shared memory is no file after a power cut worth trusting
            leftover.unlink()
        return lost

    def _files(self) -> Iterator[Path]:
        for file in self.root.rglob("*"):
            if file.is_file():
                yield file


def _read(journal: bytes) -> Iterator[Write]:
    at = 0
    while at + _HEAD.size <= len(journal):
        kind, offset, size_before, old, new = _HEAD.unpack_from(journal, at)
        at += _HEAD.size
        if at + old + new > len(journal):
            return  # killed while it noted a write that therefore never happened
        yield Write(
            offset, size_before, journal[at : at + old], journal[at + old : at + old + new] if kind == _WRITE else None
        )
        at += old + new


def _take_back(file: Path, writes: list[Write], kept: Kept, rng: random.Random) -> None:
    with file.open("r+b") as disk:
        for write in reversed(writes):
            disk.seek(write.offset)
            disk.write(write.old)
            disk.truncate(write.size_before)
        if kept is Kept.NOTHING:
            return
        until = rng.randrange(len(writes) + 1)
        for number, write in enumerate(writes):
            if kept is Kept.FIRST and number >= until:
                return
            _do_again(disk, write, rng if kept is Kept.SOME else None)


def _do_again(disk: BinaryIO, write: Write, torn: random.Random | None) -> None:
    if write.new is None:
        if torn is None or torn.random() < 0.5:
            disk.truncate(write.offset)
        return
    for start in range(0, len(write.new), SECTOR):
        if torn is None or torn.random() < 0.5:
            disk.seek(write.offset + start)
            disk.write(write.new[start : start + SECTOR])
