"""Who comes in: passwords are checked on a thread of their own, and who guesses has to wait for the answer.

The wait holds up the guessing connection alone; a right password from the same address is answered at once, because
several devices may share an address behind a gateway.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kit.broker.changes import LoginRefused
from kit.broker.ports import Claim, Mark, Pass, Users

Answer = Pass | BaseException | None

FREE_FAILURES = 2
"""A password mistyped twice is answered at once."""

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 5.0
"""Shorter than the ten seconds in which clients give up on a CONNACK, so that they still learn what is wrong."""

FORGIVEN_AFTER_S = 60.0
ADDRESSES = 1_000
"""Addresses remembered; the one that failed longest ago makes room."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_s: float = 0.0
    unwritten: int = 0
    username: str = ""


class Door:
    """Checks credentials and counts refusals by address.

    Args:
        users: who may come in.
        loop: where answers are given.
    """

    def __init__(self, users: Users, loop: asyncio.AbstractEventLoop) -> None:
        self._users = users
        self._loop = loop
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker-door")
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self.refused = 0
        """Sign-ins refused since the start."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    async def marks(self) -> Mapping[str, Mark]:
        """See `Users.marks`."""
        return await self._loop.run_in_executor(self._pool, self._users.marks)

    def sign_in(self, claim: Claim, *, answer: Callable[[Answer], None]) -> None:
        """Call `answer` with the client's pass; with None, after the delay that is due, if its credentials are wrong.

        With the exception if nobody could say, for then it is not the client's fault.
        """
        asking = self._loop.run_in_executor(self._pool, self._users.sign_in, claim)

        def answered(asked: asyncio.Future[Pass | None]) -> None:
            if asked.cancelled():
                return
            found: Answer = asked.exception() or asked.result()
            if found is not None:
                answer(found)
            else:
                self._loop.call_later(self._count(claim.username or "", claim.address), answer, None)

        asking.add_done_callback(answered)

    def facts(self, *, now_ms: int) -> list[LoginRefused]:
        """What has not been written down yet."""
        facts = []
        for address, failures in self._failures.items():
            if failures.unwritten:
                facts.append(LoginRefused(address, failures.username, failures.unwritten, now_ms))
                failures.unwritten = 0
        return facts

    def _count(self, username: str, address: str) -> float:
        """Count a failure and return the seconds its answer is held back."""
        now = self._loop.time()
        failures = self._failures.setdefault(address, _Failures())
        self._failures.move_to_end(address)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)
        if now - failures.last_s > FORGIVEN_AFTER_S:
            failures.count = 0
        failures.count += 1
        failures.unwritten += 1
        failures.last_s, failures.username = now, username
        self.refused += 1
        if failures.count <= FREE_FAILURES:
            return 0.0
        return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures.count - FREE_FAILURES - 1, 10))
