"""The power-cut ledger: what this process acknowledged and to whom, kept beside the store and independent of it.

After every commit that somebody will be told of, and before they are told, the process appends what it stored to a
file of its own below `ledger/`. A process that ends cleanly deletes its file; one that is found when the unit starts is
the trace of an unclean end, and `kit.store.reckoning` looks up in the store what it says.

Cost decides the shape. The entry is written (so it survives the death of the process) before anybody is told, and
flushed to the disk at most ten times a second: at once when the last flush is longer ago than that, so that a village's
sensors always have theirs on the disk before the PUBACK; a tenth of a second later under load. A power cut under load
can therefore cost the newest tenth of a second of *evidence*, never of readings. The file is filled with zeros
beforehand, so that a flush writes one page and no file-system journal. A ledger that cannot be written (a full disk)
costs evidence and nothing else: it never keeps a commit or an acknowledgement waiting.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from kit.model.ledger import (
    EntryKind,
    Evidence,
    Names,
    encode_entry,
    encode_header,
    encode_readings,
    encode_records,
    encode_series,
)

SUFFIX = ".ledger"
FLUSH_EVERY_S = 0.1
SEGMENT_BYTES = 512 * 1024
"""About 30,000 readings, several hours of a village; with the one before it, what is looked up one by one."""

FILL_BYTES = 32 * 1024
"""How much is filled with zeros at a time."""

PAGE_BYTES = 4096
READINGS_AT_ONCE = 2_000
"""In one entry."""


class LedgerClock(Protocol):
    """What a ledger asks a `kit.clock.Clock`."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    @property
    def boot(self) -> str:
        """Names this boot of the machine."""
        ...


class Ledger:
    """This process's ledger. Entered once per user (each open `Database`, the service itself); thread-safe.

    The file is made at the first acknowledgement and deleted when the last user has left: that is a clean end.

    Args:
        folder: `ledger/` of the home.
        process: whose it is: "broker", "web", "cli"…
        clock: dates the entries.
        real_s: real seconds that never step, which pace the flushes.
    """

    def __init__(self, folder: Path, process: str, *, clock: LedgerClock, real_s: Callable[[], float]) -> None:
        self._folder, self._process, self._clock, self._real_s = folder, process, clock, real_s
        self._lock = threading.RLock()
        self._users = 0
        self._names: dict[int, Names] = {}
        self._told_names: set[int] = set()
        self._totals: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[int] = Counter()
        self._files: list[tuple[Path, int]] = []
        self._position = self._filled = 0
        self._token, self._started_ms = "", 0
        self._flushed_at = 0.0
        self._dirty = threading.Event()
        self._flusher: threading.Thread | None = None
        self.problem: str | None = None
        """Why the last entry could not be written."""

    def __enter__(self) -> Self:
        with self._lock:
            self._users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._end_cleanly()

    def begin(self) -> Evidence:
        """Where a transaction notes what it writes."""
        return Evidence()

    def wrote(self, evidence: Evidence) -> None:
        """This was committed. Never raises."""
        with self._lock:
            for series, names in evidence.series.items():
                if self._names.setdefault(series, names) != names:
                    self._add_up()  # what was counted so far was of the series that had this number before
                    self._names[series] = names
            if evidence:
                self._append(lambda at_ms: self._encode(evidence, at_ms))

    def alive(self) -> None:
        """The process still runs: dates the end of its life should it end now. Never raises."""
        with self._lock:
            self._append(lambda at_ms: encode_entry(EntryKind.ALIVE, at_ms))

    def _append(self, encode: Callable[[int], bytes]) -> None:
        at_ms = int(self._clock.now() * 1000)
        try:
            if not self._files or self._position >= SEGMENT_BYTES:
                self._begin_file(at_ms)
            self._write(encode(at_ms))
            self._flush_or_leave_it()
        except OSError as error:
            if self.problem is None:
                import logging  # as `secrets` below: whoever only reads ledgers (`kit status`) needs neither

                logging.getLogger(__name__).warning("the ledger of what was acknowledged cannot be written: %s", error)
            self.problem = str(error)
        else:
            self.problem = None

    def _encode(self, evidence: Evidence, at_ms: int) -> bytes:
        parts = []
        # by number: whose they are is asked once for a file, not once for a commit
        self._counts.update(evidence.readings[::2])
        if len(self._counts) > len(self._told_names):
            new = self._counts.keys() - self._told_names
            parts.append(encode_series({number: self._names[number] for number in new if number in self._names}, at_ms))
            self._told_names |= new
        parts += [
            encode_readings(evidence.readings[at : at + 2 * READINGS_AT_ONCE], at_ms)
            for at in range(0, len(evidence.readings), 2 * READINGS_AT_ONCE)
        ]
        if evidence.records:
            parts.append(encode_records(evidence.records, at_ms))
            self._totals.update(("records", kind) for *_, kind in evidence.records)
        return b"".join(parts)

    def _add_up(self) -> None:
        """Put what was counted by the number of a series under the name of its device."""
        for series, count in self._counts.items():
            self._totals["readings", self._names.get(series, ("?", "", ""))[0]] += count
        self._counts.clear()
        self._told_names.clear()

    def _write(self, entry: bytes) -> None:
        descriptor = self._files[-1][1]
        if self._position + len(entry) + 8 > self._filled:
            more = -(-(len(entry) + 8) // FILL_BYTES) * FILL_BYTES
            # page by page: filled in one go, a kernel with large folios would flush all of it for each entry
            for _ in range(more // PAGE_BYTES):
                os.pwrite(descriptor, bytes(PAGE_BYTES), self._filled)
                self._filled += PAGE_BYTES
        os.pwrite(descriptor, entry, self._position)
        self._position += len(entry)

    def _begin_file(self, at_ms: int) -> None:
        self._folder.mkdir(exist_ok=True)
        if not self._token:
            import secrets

            self._token, self._started_ms = secrets.token_hex(4), at_ms
        number = int(self._files[-1][0].stem.rpartition("-")[2]) + 1 if self._files else 0
        file = self._folder / f"{self._process}-{self._token}-{number:06}{SUFFIX}"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._files.append((file, descriptor))
        self._position = self._filled = 0
        self._add_up()
        header = encode_header(
            process=self._process,
            boot=self._clock.boot,
            started_ms=self._started_ms,
            at_ms=at_ms,
            totals=self._totals,
        )
        self._write(header)
        os.fsync(descriptor)
        flush_folder(self._folder)
        for old, descriptor in self._files[:-2]:
            old.unlink(missing_ok=True)
            os.close(descriptor)
        del self._files[:-2]

    def _flush_or_leave_it(self) -> None:
        if self._real_s() - self._flushed_at >= FLUSH_EVERY_S:
            self._flush()
            return
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._keep_flushing, name="ledger", daemon=True)
            self._flusher.start()
        if not self._dirty.is_set():
            self._dirty.set()

    def _flush(self) -> None:
        self._dirty.clear()
        if self._files:
            os.fdatasync(self._files[-1][1])
        self._flushed_at = self._real_s()

    def _keep_flushing(self) -> None:
        pause = threading.Event()
        while self._dirty.wait():
            pause.wait(FLUSH_EVERY_S)
            with self._lock:
                descriptor = os.dup(self._files[-1][1]) if self._files else None
                self._dirty.clear()
                self._flushed_at = self._real_s()
            if descriptor is not None:
                # outside the lock: whoever commits meanwhile does not wait for this
                try:
                    os.fdatasync(descriptor)
                except OSError as error:
                    self.problem = str(error)
                finally:
                    os.close(descriptor)

    def _end_cleanly(self) -> None:
        for file, descriptor in self._files:
            file.unlink(missing_ok=True)
            os.close(descriptor)
        if self._files:
            self._files.clear()
            flush_folder(self._folder)
        self._token = ""
        self._add_up()
        self._totals.clear()


def flush_folder(folder: Path) -> None:
    """What was made, renamed or deleted in the folder is so on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
