"""The broker on its sockets.

Invariant: PUBACK, PUBREC, PUBCOMP, SUBACK and the CONNACK of a kept session leave only after the transaction that
makes them true is on disk; subscribers get a message only after the same transaction. Packets go through the hub in
batches: while one batch is being written, the next one gathers.

If the writing fails, nobody is answered, the clients that had part in the batch are disconnected so that they send
again, and the broker lives on; the next batches are small, so that one client's trouble does not become everybody's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from kit.broker.access import Access
from kit.broker.changes import Fact
from kit.broker.committer import Committer
from kit.broker.door import Answer, Door
from kit.broker.hub import Hub
from kit.broker.inbox import Came, Deed
from kit.broker.link import READ_AT_ONCE_BYTES, Link
from kit.broker.listening import Listener, explain_listen_error
from kit.broker.outcome import Farewell, Outcome
from kit.broker.ports import Claim, Journal, JournalError, Mark, Pass, Users
from kit.broker.protocol.lifetimes import Instant
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Connect, Packet
from kit.broker.protocol.reader import Topics
from kit.broker.protocol.reasons import Reason
from kit.clock import Clock
from kit.errors import KitError

_log = logging.getLogger(__name__)

SWEEP_S = 0.25
"""How often keep-alives are looked at, real seconds; a client's shortest keep-alive is one second."""

USERS_EVERY_S = 0.5
"""How often removed users are looked for, real seconds."""

FACTS_EVERY_S = 0.5
"""How long facts may wait for a transaction to ride along with, real seconds."""

REPORT_EVERY_S = 10.0
"""A problem that stays is reported again after this many real seconds."""

GOODBYE_S = 5.0
"""How long stopping waits for what was already received to reach the disk, real seconds."""

ASSIGNED_ID_BYTES = 8
"""Of randomness in the client id of who brings none: it may be kept for years and must not be another's."""

UNWRITTEN = Farewell("what it sent could not be written to disk; send it again", Reason.NOT_ACCEPTED_HERE)

OVERLOAD = 32
"""Clients that may each have their full `unread_bytes` on the way to the disk before all of them have to wait."""


class Broker:
    """The kit's MQTT broker.

    Args:
        host: address to listen on.
        port: 0 = any free one; `ready` is told which.
        users: knows the passwords.
        journal: keeps what must not be lost.
        clock: dates what comes in. Keep-alives are between real machines and run in real seconds.
        more: further addresses to listen on: encrypted, or for browsers.
        limits: on everything.
        access: who may publish and read what; without it, each device below its own name.
        on_problem: called on the event loop with a sentence for the technician.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        users: Users,
        journal: Journal,
        clock: Clock,
        more: Sequence[Listener] = (),
        limits: Limits | None = None,
        access: Access | None = None,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        self._listeners = (Listener(host=host, port=port), *more)
        self.addresses: dict[str, tuple[str, int]] = {}
        """Where clients can connect, by the setting that names it, once the broker is ready."""
        self._users, self._journal, self._clock = users, journal, clock
        self._limits = limits or Limits()
        self._on_problem = on_problem
        self._hub = Hub(self._limits, access=access)
        self._links: dict[int, Link] = {}
        self._topics: Topics = {}
        self._buffer = memoryview(bytearray(READ_AT_ONCE_BYTES))
        self._inbox: deque[Came | Deed] = deque()
        self._pending_bytes = 0
        self._unread_bytes = 0
        self._writing = self._scheduled = self._stopped = False
        self._batch = self._limits.batch
        self._numbers = 0
        # asked now and then, not for every batch: these two are files and system calls
        self._boot, self._trusted = clock.boot, clock.trusted
        self._reported = ("", 0.0)
        self.failed_commits = 0
        self.problem: str | None = None
        """What is wrong now, for the technician; None when the last transaction succeeded."""

    async def serve(self, stop: asyncio.Event, *, ready: Callable[[tuple[str, int]], None] | None = None) -> None:
        """Serve until `stop` is set.

        Args:
            stop: ends it; what was received by then is written and answered.
            ready: called with the address once clients can connect.

        Raises:
            KitError: the address cannot be listened on, or the journal cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        with Committer(self._journal, self._loop) as self._committer, Door(self._users, self._loop) as self._door:
            try:
                self._hub.restore(await self._committer.load(), self._now())
            except JournalError as error:
                raise KitError(f"the broker's tables cannot be read ({error}); run `kit doctor`") from error
            servers = await self._listen_everywhere()
            stopped = asyncio.create_task(stop.wait())
            chores = [asyncio.create_task(chore()) for chore in (self._sweep, self._watch_users, self._write_facts)]
            try:
                self._do(None, lambda: None)  # publishes the wills of clients that a crash cut off
                if ready is not None:
                    ready(self.addresses["listen"])
                await asyncio.wait([stopped, *chores], return_when=asyncio.FIRST_COMPLETED)
                for chore in chores:
                    if chore.done():
                        chore.result()  # a chore never ends: this raises the bug that ended it
            finally:
                for task in (*chores, stopped):
                    task.cancel()
                for server in servers:
                    server.close()
                await self._say_goodbye()

    # --- what links tell (kit.broker.link.LinkOwner)

    def link_opened(self, link: Link) -> bool:
        """Keep it, if there is room; among those that have not signed in, who has waited longest makes room."""
        waiting = [other for other in self._links.values() if other.username is None]
        strangers = self._limits.connections_unauthenticated
        neighbours = [other for other in waiting if other.address == link.address]
        full = len(self._links) >= self._limits.connections
        # one address may hold half the places, so that a single machine cannot keep everybody else out
        crowd = (
            neighbours if len(neighbours) >= strangers // 2 else waiting if full or len(waiting) >= strangers else []
        )
        if crowd:
            self._report(f"{len(waiting)} connections have not signed in; those that wait longest are closed")
            self._links.pop(crowd[0].number).close("somebody else wanted to sign in")
        elif full:
            self._report(f"{len(self._links)} connections are open; one more, from {link.address}, was refused")
            return False
        self._links[link.number] = link
        return True

    def sign_in(self, link: Link, connect: Connect) -> None:
        """Ask the door, answer when it knows."""
        username, password = connect.username, connect.password
        if connect.auth_method is not None:
            link.refuse(Reason.BAD_AUTHENTICATION_METHOD, "this broker has no enhanced authentication")
            return
        if (username is None or password is None) and not link.open:
            link.refuse(Reason.NOT_AUTHORIZED, "no user name and password")
            return
        own_id = connect.client_id
        if not own_id:
            connect = replace(connect, client_id=f"auto-{secrets.token_hex(ASSIGNED_ID_BYTES)}", assigned=True)

        def answer(found: Answer) -> None:
            if found is None:
                link.refuse(Reason.BAD_CREDENTIALS, f"wrong user name or password for {username or own_id}")
                return
            if isinstance(found, BaseException):
                self._report(f"the table of devices cannot be read, nobody can sign in: {found}")
                link.refuse(Reason.SERVER_UNAVAILABLE, "the table of devices cannot be read")
                return
            if link.accept(connect, username=found.username, mark=found.mark):
                self._do(link, lambda: self._connected(link, connect, found))
            link.read()

        claim = Claim(username, password, own_id, link.address, link.open)
        self._door.sign_in(claim, answer=answer)

    def packets_came(self, link: Link, packets: list[Packet], size_bytes: int) -> None:
        """Into the next batch."""
        if not self._stopped:
            self._inbox.append(Came(link, packets, size_bytes, self._now_ms()))
            self._pending_bytes += size_bytes
            self._schedule()

    def link_blocked(self, link: Link, *, blocked: bool) -> None:
        """Send it no more, or again."""
        if blocked:
            self._hub.blocked.add(link.number)
        else:
            self._hub.blocked.discard(link.number)
            self._do(None, lambda: self._hub.writable(link.number))

    def link_closed(self, link: Link) -> None:
        """Into the next batch: its session ends or waits, its will is published."""
        self._links.pop(link.number, None)
        self._hub.blocked.discard(link.number)
        self._do(None, lambda: self._hub.lost(link.number, now_ms=self._now_ms()))

    def overloaded(self) -> bool:
        """Whether all clients together have too much on the way to the disk."""
        return self._pending_bytes > OVERLOAD * self._limits.unread_bytes

    def unread_grew(self, more_bytes: int) -> bool:
        """Count them; see `Limits.unfinished_bytes`."""
        self._unread_bytes += more_bytes
        return self._unread_bytes > self._limits.unfinished_bytes

    # --- batches

    def _do(self, link: Link | None, work: Callable[[], None]) -> None:
        if not self._stopped:
            self._inbox.append(Deed(link, work))
            self._schedule()

    def _schedule(self) -> None:
        # at the end of the loop's turn, so that whatever came in on all sockets goes into one transaction
        if not self._scheduled and not self._writing:
            self._scheduled = True
            self._loop.call_soon(self._run_batch)

    def _run_batch(self) -> None:
        self._scheduled = False
        if self._writing:
            return
        self._hub.now = self._now()
        members = self._take_inbox()
        self._hub.finish(now_ms=self._hub.now.ms)
        if not self._hub.changes:
            self._finish(members, self._hub.settle())
            return
        self._writing = True
        facts = self._take_facts()
        self._committer.submit([*self._hub.changes, *facts], lambda problem: self._written(members, problem))

    def _take_inbox(self) -> list[Came | Deed]:
        """Take as much of what has come as goes into one transaction through the hub."""
        members: list[Came | Deed] = []
        room = self._batch
        while self._inbox and room > 0:
            member = self._inbox.popleft()
            weight = member.weight
            if isinstance(member, Came) and weight > room:
                member, rest = member.cut(room)
                self._inbox.appendleft(rest)
            members.append(member)
            room -= weight
            try:
                if isinstance(member, Came):
                    self._hub.received_all(member.link.number, member.packets, now_ms=member.at_ms)
                else:
                    member.work()
            except Exception as error:  # noqa: BLE001 - our bug, set off by one client, must not stop the others' readings
                _log.exception("a packet could not be dealt with")
                self._report(f"the broker has a defect, see its log: {type(error).__name__}: {error}")
                if member.link is not None:
                    member.link.close("the broker has a defect")
        return members

    def _written(self, members: list[Came | Deed], problem: JournalError | None) -> None:
        self._writing = False
        if problem is None:
            self.problem = None
            self._batch = min(self._limits.batch, self._batch * 2)
            self._finish(members, self._hub.settle())
            return
        self.failed_commits += 1
        self._batch = 1
        outcome = self._hub.roll_back()
        for member in members:
            if member.link is not None:
                outcome.closing.setdefault(member.link.number, UNWRITTEN)
        self._report(f"messages could not be written to disk and were not acknowledged: {problem}")
        self._finish(members, outcome)

    def _finish(self, members: list[Came | Deed], outcome: Outcome) -> None:
        for number, packets in outcome.packets.items():
            if number in self._links:
                self._links[number].send(packets)
        for number, farewell in outcome.closing.items():
            if number in self._links:
                self._links[number].close(farewell.text, farewell.reason)
        came = [member for member in members if isinstance(member, Came)]
        for member in came:
            self._pending_bytes -= member.size
            member.link.pending_bytes -= member.size
        for link in {member.link for member in came}:
            link.resume()
        if self._inbox:
            self._schedule()

    def _connected(self, link: Link, connect: Connect, found: Pass) -> None:
        self._hub.connected(
            link.number,
            connect,
            username=found.username,
            grants=found.grants,
            address=link.address,
            now_ms=self._now_ms(),
        )

    def _take_facts(self) -> list[Fact]:
        facts, self._hub.facts = self._hub.facts, []
        return facts

    # --- chores

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            for link in list(self._links.values()):
                link.check_time()

    async def _watch_users(self) -> None:
        while True:
            await asyncio.sleep(USERS_EVERY_S)
            try:
                marks = await self._door.marks()
            except Exception as error:  # noqa: BLE001 - whatever keeps the table from being read now; signed-in clients stay
                self._report(f"the table of devices cannot be read: {error}")
                continue
            self._show_out(marks)

    def _show_out(self, marks: Mapping[str, Mark]) -> None:
        """Close the connections of users that are no more, may do something else, or have another password."""
        gone = self._hub.usernames() - marks.keys()
        for link in list(self._links.values()):
            if link.username is None or link.mark is None:
                continue
            mark = marks.get(link.username)
            if mark is None or mark.holder != link.mark.holder:
                gone.add(link.username)
            elif mark.secret != link.mark.secret:
                link.close(f"the password of {link.username} was replaced", Reason.ADMINISTRATIVE_ACTION)
        for username in gone:
            self._do(None, partial(self._hub.forget_user, username, now_ms=self._now_ms()))

    async def _write_facts(self) -> None:
        while True:
            await asyncio.sleep(FACTS_EVERY_S)
            self._hub.facts += self._door.facts(now_ms=self._now_ms())
            self._trusted = self._clock.trusted
            self._hub.now = self._now()
            if self._hub.has_something_due:
                self._schedule()
            elif self._hub.facts and not self._writing:
                self._writing = True
                self._committer.submit(self._take_facts(), self._facts_written)

    def _facts_written(self, problem: JournalError | None) -> None:
        self._writing = False
        if problem is not None:
            self._report(f"what clients did could not be written to disk: {problem}")
        if self._inbox:
            self._schedule()

    def _report(self, problem: str) -> None:
        self.problem = problem
        told, at = self._reported
        if self._on_problem is not None and (told != problem or self._loop.time() - at > REPORT_EVERY_S):
            self._reported = (problem, self._loop.time())
            self._on_problem(problem)

    # --- start and stop

    async def _listen_everywhere(self) -> list[asyncio.Server]:
        servers: list[asyncio.Server] = []
        try:
            for listener in self._listeners:
                servers.append(await self._listen(listener))
                self.addresses[listener.setting] = servers[-1].sockets[0].getsockname()[:2]
        except KitError:
            for server in servers:
                server.close()
            raise
        return servers

    async def _listen(self, listener: Listener) -> asyncio.Server:
        def make() -> asyncio.BaseProtocol:
            return self._new_link(listener)

        try:
            return await self._loop.create_server(make, listener.host, listener.port, backlog=512)
        except OSError as error:
            raise KitError(explain_listen_error(listener, error)) from error

    def _new_link(self, listener: Listener) -> asyncio.BaseProtocol:
        self._numbers += 1
        limits = self._limits
        link = Link(self._numbers, self, limits, self._loop, topics=self._topics, buffer=self._buffer)
        link.open = listener.open
        if listener.websocket:
            from kit.broker.websocket_link import WebSocketLink

            return WebSocketLink(link, unsent_bytes=limits.unsent_bytes)
        if listener.tls is not None:
            from kit.broker.tls_link import TlsLink

            return TlsLink(link, context=listener.tls, patience_s=limits.connect_timeout_s, loop=self._loop)
        return link

    async def _say_goodbye(self) -> None:
        for link in self._links.values():
            link.stop_reading()
        deadline = self._loop.time() + GOODBYE_S
        while (self._inbox or self._writing) and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        self._stopped = True
        self._hub.facts += self._hub.everybody_gone(now_ms=self._now_ms())
        self._committer.submit(self._take_facts(), self._facts_written)
        # their wills stay written down and are published at the next start (3.1.2.5 lets a server defer them)
        for link in list(self._links.values()):
            link.close("the broker is stopping", Reason.SERVER_SHUTTING_DOWN)
        self._links.clear()

    def _now(self) -> Instant:
        return Instant(self._now_ms(), self._clock.monotonic(), self._boot, self._trusted)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
