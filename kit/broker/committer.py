"""The thread that waits for the disk so that the event loop does not.

One batch is in its hands at a time; what comes in meanwhile becomes the next batch. That is the whole of group commit:
no fixed wait (measured: a 50 ms wait has eight times the p99 and a lower peak).
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
from kit.broker.ports import Journal, JournalError

HAND_OVER_S = 0.0005
"""For `sys.setswitchinterval` of a broker's process. After each wait for the disk the writing thread needs the
interpreter back; by default the event loop may keep it for 5 ms, longer than most commits take."""

GARBAGE_AFTER = 20_000
"""Objects between two searches for circular garbage, instead of 700: a batch makes and drops thousands of small tuples,
none of which ever refers to itself."""


def tune_interpreter() -> None:
    """Make this process one that serves a broker; call it when everything is loaded, before serving."""
    sys.setswitchinterval(HAND_OVER_S)
    gc.collect()
    gc.freeze()  # what is loaded by now stays for ever: no search has to walk through it while a device waits
    gc.set_threshold(GARBAGE_AFTER)


Done = Callable[[JournalError | None], None]


class Committer:
    """Calls the journal on its own thread; answers on the event loop.

    Args:
        journal: where the changes go.
        loop: where `done` is called.
    """

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="broker-journal", daemon=True)

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
        """Write the changes in one transaction, then call `done` on the loop with None or the error."""

        def commit() -> None:
            problem: JournalError | None = None
            try:
                self._journal.commit(changes)
            except JournalError as error:
                problem = error
            except Exception as error:  # noqa: BLE001 - a bug in the collector must not end the broker: nothing is acknowledged
                problem = JournalError(f"{type(error).__name__}: {error}")
            self._loop.call_soon_threadsafe(done, problem)

        self._work.put(commit)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
