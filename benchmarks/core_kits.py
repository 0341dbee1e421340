"""Many kits in one process, as a core sees them: real sessions over real CURVE connections, a few kB of memory each."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

from kit.identity import unit_id
from kit.model.record_kinds import MESSAGE
from sync.core.invites import make_invite
from sync.core.setup import Core
from sync.links.cellular_socket import IN_FLIGHT_FRAMES, MTU_BYTES, Socket, tune
from sync.protocol import keys
from sync.protocol.beacons import BeaconFacts, Position
from sync.protocol.enrolment import Invite, make_hello
from sync.protocol.errors import RemoteSyncError
from sync.protocol.events import RecordsReceived
from sync.protocol.peers import Peer, Role
from sync.protocol.records import Record
from sync.protocol.session import Session

PATH = "cellular"
ASKS_WITHIN_S = 300.0
"""A kit that is silent asks its core so often: their clocks are set apart by up to this."""


@dataclass
class Caller:
    """A kit that is connected: its end of the conversation, and what has come."""

    unit: str
    session: Session
    curve: tuple[bytes, bytes]
    ahead_s: float = 0.0
    socket: Socket | None = None
    wake_at: float = 0.0
    heard: bool = False
    taken: list[tuple[float, Record]] = field(default_factory=list)


def enrol_many(core: Core, count: int) -> list[Caller]:
    """Kits that were invited and have joined, as if by a stick; none is connected yet."""
    rng, callers = random.Random(7), []
    for number in range(count):
        invite = Invite.decode(make_invite(core, f"Village {number}", days=30, address="tcp://127.0.0.1:1"))
        private = rng.randbytes(32)
        public = keys.public_of(private)
        curve = zmq.curve_keypair()
        hello = make_hello(
            invite, unit=unit_id(public), exchange_private=private, exchange_public=public,
            curve_public=z85.decode(curve[0]),
        )  # fmt: skip
        with core.open_store() as store:
            assert isinstance(store.enrol(hello, now_ms=core.now_ms(), link="stick"), Peer)
        peer = Peer(unit=core.identity.unit, link_id=invite.link_id, exchange_public=invite.core_public, role=Role.CORE)
        session = Session(
            unit=unit_id(public), exchange_private=private, peer=peer, salt=rng.getrandbits(32), rng=rng,
            epoch=1, life=rng.randbytes(32),
        )  # fmt: skip
        callers.append(Caller(unit_id(public), session, curve, ahead_s=0.0))
    return callers


class Callers:
    """Connects them all, and keeps their conversations going.

    Args:
        callers: the kits.
        address: of the core.
        core_public: its CURVE key.
    """

    def __init__(self, callers: Sequence[Caller], address: str, core_public: bytes) -> None:
        self._context: zmq.Context[Socket] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 2 * len(callers) + 64)
        self._poller = zmq.Poller()
        self._by_socket: dict[Socket, Caller] = {}
        for each in callers:
            socket = self._context.socket(zmq.DEALER)
            tune(socket)
            socket.curve_serverkey, (socket.curve_publickey, socket.curve_secretkey) = core_public, each.curve
            socket.connect(address)
            self._poller.register(socket, zmq.POLLIN)
            self._by_socket[socket], each.socket = each, socket
            each.session.path(PATH, MTU_BYTES)
            each.session.came_up(PATH, now=time.monotonic())

    def spread(self) -> None:
        """Their next questions fall anywhere within five minutes, as those of kits that were started one by one."""
        rng = random.Random(8)
        for each in self._by_socket.values():
            each.ahead_s, each.wake_at = rng.random() * ASKS_WITHIN_S, 0.0

    def live(self, seconds: float, *, until_all: bool = False, until: Caller | None = None) -> float:
        """So long, or until all have been answered, or until that one has a message; returns how long it took."""
        start_s = time.monotonic()
        had = len(until.taken) if until is not None else 0
        while (now := time.monotonic()) < start_s + seconds:
            for each in self._by_socket.values():
                if now + each.ahead_s >= each.wake_at:
                    self._say(each)
            for socket, _ in self._poller.poll(20):
                self._hear(self._by_socket[socket])
            if until is not None and len(until.taken) > had:
                break
            if until_all and all(each.heard for each in self._by_socket.values()):
                break
        return time.monotonic() - start_s

    def close(self) -> None:
        """Let go."""
        for socket in self._by_socket:
            socket.close(linger=0)
        self._context.term()

    def _hear(self, each: Caller) -> None:
        assert each.socket is not None
        now = time.monotonic() + each.ahead_s
        for _ in range(4 * IN_FLIGHT_FRAMES):
            try:
                frame = each.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                events = each.session.hearing.receive(frame, path=PATH, mtu_bytes=MTU_BYTES, now=now)
            except RemoteSyncError:
                continue
            each.heard = True
            for event in events:
                if isinstance(event, RecordsReceived):
                    each.taken += [(time.perf_counter(), record) for record in event.records if record.kind == MESSAGE]
                    told = [(record.id, int(record.priority)) for record in event.records]
                    each.session.hearing.acknowledge(told, path=PATH, now=now)
        self._say(each)

    def _say(self, each: Caller) -> None:
        assert each.socket is not None
        now = time.monotonic() + each.ahead_s
        facts = BeaconFacts(
            int(time.time() * 1000), trusted=True, free_airtime_percent=None, position=lambda: Position(1, (0,) * 6),
            holdings=tuple,
        )  # fmt: skip
        while True:
            out = each.session.frame_to_send(path=PATH, mtu_bytes=MTU_BYTES, now=now, facts=facts)
            if out is None:
                break
            each.session.saved()  # nothing survives here, nor has to
            try:
                each.socket.send(out.frame, zmq.NOBLOCK)
            except zmq.Again:
                break
            each.session.sent(out, now=now)
        at = each.session.wake_at(path=PATH, mtu_bytes=MTU_BYTES, now=now)
        each.wake_at = float("inf") if at is None else max(at, now + 0.1)
