"""What is done once, before a process serves, and then needed no more: done in a child, whose memory ends with it.

Looking whether the store must be mended and its schema brought up to date takes every module that has tables, and the
backups: six megabytes in each of five services, which on a small machine are the villagers'. A child does it in the
same time. Whatever goes wrong there is met again, and said, here: the child only ever says that all is well.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kit.run.schema import is_up_to_date, open_unit_store

if TYPE_CHECKING:
    from kit.home import Home

_PR_SET_PDEATHSIG = 1


def in_a_child(work: Callable[[], object]) -> bool:
    """Do the work in a child process; whether it was done without an exception.

    To be called while there is one thread, and no connection to a store is open.
    """
    gc.freeze()  # what is here already is not copied for the child by looking for garbage in it
    parent = os.getpid()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        gc.unfreeze()
        return status == 0
    code = 1
    try:
        # who is killed must not leave somebody behind that still works on the store
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            work()
            code = 0
    except BaseException:  # noqa: BLE001, S110 - the parent does it again and meets the same
        pass
    finally:
        os._exit(code)  # not the parent's `finally`, locks and buffers


def make_store_ready(home: Home, *, now_ms: Callable[[], int]) -> None:
    """See that the store can be opened, mend it if not, and bring its schema up to date.

    Args:
        home: of the unit.
        now_ms: asked where something must be mended, Unix ms.

    Raises:
        KitError: it cannot be mended now; the sentence says why.
    """
    if in_a_child(partial(_see_that_it_is_sound, home)):
        is_up_to_date(home)
        return
    from kit.run.mending import mend_unopenable

    mend_unopenable(home, now_ms=now_ms())


def _see_that_it_is_sound(home: Home) -> None:
    from kit.backup.damage import opens, was_interrupted

    problem = "its recovery was cut short" if was_interrupted(home) else opens(home.database)
    if problem is not None:
        raise RuntimeError(problem)
    with open_unit_store(home):
        pass
