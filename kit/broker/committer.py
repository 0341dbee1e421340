"""Who waits for the disk: the event loop itself while that is quick, else a thread.

One batch is under way at a time; what comes in meanwhile becomes the next batch. That is the whole of group commit:
no fixed wait (measured: a 50 ms wait has eight times the p99 and a lower peak).

A batch that goes to a thread and back changes threads twice, which costs more than a quick disk; a loop that waits for
a slow card, or for another writer, answers nobody. So a batch is written where it is, without waiting for any other
writer, as long as the disk has lately been quick (`Pace`); in every other case the thread has it.

Ownership: the journal belongs to whoever has the batch; the loop touches it only while the thread has nothing to do.
"""

from __future__ import annotations

import asyncio
import gc
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from kit.broker.changes import Change, Fact, Saved
from kit.broker.ports import Journal, JournalBusyError, JournalError

HAND_OVER_S = 0.0005
"""For `sys.setswitchinterval` of a broker's process. After each wait for the disk the writing thread needs the
interpreter back; by default the event loop may keep it for 5 ms, longer than most commits take."""

GARBAGE_AFTER = 20_000
"""Objects between two searches for circular garbage, instead of 700: a batch makes and drops thousands of small tuples,
none of which ever refers to itself."""

QUICK_S = 0.005
"""A disk that is done in less does not keep the event loop from anything: so long does a batch's own work take, too."""

LATEST_COUNTS = 0.125
"""How much the latest wait counts beside all before it: on a card of 20 ms the loop waits three times before it leaves
that to the thread; one wait of 100 ms on a quick disk is forgotten after eight commits."""


def tune_interpreter() -> None:
    """Make this process one that serves a broker; call it when everything is loaded, before serving."""
    sys.setswitchinterval(HAND_OVER_S)
    gc.collect()
    gc.freeze()  # what is loaded by now stays for ever: no search has to walk through it while a device waits
    gc.set_threshold(GARBAGE_AFTER)


class Pace:
    """How long the disk has lately kept a commit waiting, on the average; pure."""

    def __init__(self) -> None:
        self._wait_s = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether the event loop may wait for the next commit itself."""
        return self._wait_s < QUICK_S

    def waited(self, seconds: float) -> None:
        """The disk took this long."""
        self._wait_s += (seconds - self._wait_s) * LATEST_COUNTS


Done = Callable[[JournalError | None], None]


class Committer:
    """Writes batches to the journal, on the event loop or on a thread of its own; answers on the event loop.

    Args:
        journal: where the changes go.
        loop: whose turn it is, and where `done` is called; its clock times the disk.
    """

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="broker-journal", daemon=True)
        self._handed_over = 0
        self._at_disk_s = 0.0
        self.pace = Pace()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._work.put(None)
        self._thread.join()

    async def load(self) -> Saved:
        """Everything the journal holds.

        Raises:
            JournalError: it cannot be read.
        """
        loaded: asyncio.Future[Saved] = self._loop.create_future()

        def load() -> None:
            try:
                saved = self._journal.load()
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller's thread
                self._loop.call_soon_threadsafe(loaded.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(loaded.set_result, saved)

        self._work.put(load)
        return await loaded

    def submit(self, changes: Sequence[Change | Fact], done: Done) -> None:
        """Write the changes in one transaction, then call `done` on the loop with None or the error.

        On a quick disk that is before this returns.
        """
        if not self._handed_over and self.pace.is_quick:
            try:
                problem = self._commit(changes, patient=False)
            except JournalBusyError:
                pass  # whoever is writing may take long: the thread waits for it
            else:
                done(problem)
                return
        self._hand_over(changes, done)

    def _hand_over(self, changes: Sequence[Change | Fact], done: Done) -> None:
        def finish(problem: JournalError | None) -> None:
            self._handed_over -= 1
            done(problem)

        def commit() -> None:
            self._loop.call_soon_threadsafe(finish, self._commit(changes, patient=True))

        self._handed_over += 1
        self._work.put(commit)

    def _commit(self, changes: Sequence[Change | Fact], *, patient: bool) -> JournalError | None:
        """The error, if it was not written.

        Raises:
            JournalBusyError: somebody else is writing, and `patient` is false.
        """
        self._at_disk_s = self._loop.time()
        try:
            self._journal.commit(changes, patient=patient, at_disk=self._now_at_disk)
        except JournalBusyError as error:
            if not patient:
                raise
            return error
        except JournalError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug in the collector must not end the broker: nothing is acknowledged
            return JournalError(f"{type(error).__name__}: {error}")
        self.pace.waited(self._loop.time() - self._at_disk_s)
        return None

    def _now_at_disk(self) -> None:
        self._at_disk_s = self._loop.time()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
