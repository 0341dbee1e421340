"""Which record leaves by which link, and when: the loop around the sans-IO sessions.

One engine serves a kit (one peer, the core) or the core (every kit). Its order in each round is what keeps the
promises: take what came in (`receiving`), commit it, keep the sessions' state, and only then send what depends on
either (`sending`).

Cellular is preferred while it is up; over LoRa go only the priorities it may carry; an alert (priority 0) goes over
every link that is up, at once. A link that takes frames while nothing comes back is doubted: the next one carries, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kit.clock import Clock
from sync.engine.calling import Calling
from sync.engine.identity import HeldIdentity
from sync.engine.joining import Joining
from sync.engine.keeping import Keeping
from sync.engine.multicasting import Broadcasting, Listening
from sync.engine.offering import Offering
from sync.engine.receiving import Receiving
from sync.engine.rekeying import TwoPairs
from sync.engine.reporting import Reporting
from sync.engine.sending import Sending
from sync.engine.standing import Standing
from sync.engine.talks import LIFE_S, Talks
from sync.engine.watched import LinkReport, WatchedLink
from sync.links.port import Link, LinkState
from sync.protocol.enrolment import Invite, make_hello
from sync.protocol.events import Welcomed
from sync.protocol.peers import PeerBook, RefusalReason
from sync.protocol.records import RecordId, RecordStore

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

SLICE_LEAST_S, SLICE_MOST_S = 0.005, 0.05
"""Real seconds that a round waits for a frame, per link: short under a fast clock, easy on the battery otherwise."""


class SyncEngine:
    """Store-and-forward between a store and its peers. Belongs to one thread.

    Args:
        identity: who we are.
        store: ours; used only on the engine's thread.
        peers: a kit's `SinglePeerBook`, or the core's book.
        links: the ways there; the one with the largest frames that is up is preferred.
        clock: kit time.
        rng: for jitter.
        on_links: told what to show of the links.
        invite: a kit that is not enrolled yet says hello with it.
        changed: a number that changes when somebody else wrote to the store (`SqliteRecordStore.changed`); without it
            the store is asked every `REFRESH_S`.
        due_now: records that a technician wants sent at once (`SqliteRecordStore.take_retries`).
        name: of this unit, for people: in the hello, and in the welcome.
        curve_public: our CurveZMQ public key (32 bytes), for the hello.
        on_enrolled: a kit was welcomed by the core; told once.
        on_time: the core's time (Unix ms, and whether it is trusted) as heard in a beacon.
        broadcasting: at the core, what it says to all of its kits.
        listening: at a kit, what is made of that.
        pairs: at a kit that renews its keys, the other pair, and whom to tell which of the two the core knows.
        heard_by: the link by which a peer was heard last, before this process started; it is given time to connect.
        life_s: kit seconds after which new keys are drawn, as if the process had been started anew.
    """

    def __init__(
        self,
        *,
        identity: HeldIdentity,
        store: RecordStore,
        peers: PeerBook,
        links: Sequence[Link],
        clock: Clock,
        rng: Random,
        on_links: Callable[[Sequence[LinkReport]], None],
        invite: Invite | None = None,
        changed: Callable[[], int] | None = None,
        due_now: Callable[[], Sequence[RecordId]] | None = None,
        name: str = "",
        curve_public: bytes = b"",
        on_enrolled: Callable[[Welcomed], None] | None = None,
        on_time: Callable[[int, bool], None] | None = None,
        broadcasting: Broadcasting | None = None,
        listening: Listening | None = None,
        pairs: TwoPairs | None = None,
        heard_by: Callable[[str], str] = lambda _: "",
        life_s: float = LIFE_S,
    ) -> None:
        self._clock = clock
        self._links = sorted((WatchedLink(link, clock) for link in links), key=lambda link: -link.mtu_bytes)
        self._keeping = Keeping(store)
        joining = _joining(identity, invite, curve_public, name, rng) if invite is not None else None
        self._standing = Standing(joining, on_enrolled)
        self._talks = Talks(
            identity=identity, store=store, links=self._links, clock=clock, rng=rng, life_s=life_s, heard_by=heard_by
        )
        self._calling = Calling(self._talks, clock)
        self._offering = Offering(
            talks=self._talks, store=store, peers=peers, standing=self._standing, clock=clock,
            broadcasting=broadcasting, changed=changed, due_now=due_now,
        )  # fmt: skip
        self._receiving = Receiving(
            identity=identity, name=name, talks=self._talks, peers=peers, keeping=self._keeping,
            standing=self._standing, offering=self._offering, broadcasting=broadcasting, listening=listening,
            pairs=pairs, on_time=on_time, clock=clock,
        )  # fmt: skip
        self._sending = Sending(
            talks=self._talks, store=store, keeping=self._keeping, standing=self._standing,
            offering=self._offering, broadcasting=broadcasting, clock=clock,
        )  # fmt: skip
        self._reporting = Reporting(
            links=self._links, standing=self._standing, talks=self._talks, keeping=self._keeping,
            on_links=on_links, clock=clock,
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        try:
            while not stop.is_set():
                slice_s = min(max(self._clock.real(1.0), SLICE_LEAST_S), SLICE_MOST_S)
                if self.step(slice_s) == 0:
                    stop.wait(slice_s)  # no link is open: nothing paces the loop
        finally:
            for link in self._links:
                link.close()

    def step(self, slice_s: float = 0.0) -> int:
        """One round; returns how many links were up.

        Args:
            slice_s: real seconds to wait for a frame, per link.
        """
        for link in self._links:
            link.open_if_due()
            arrivals = link.receive(slice_s)
            if arrivals:
                self._receiving.take_in(link, arrivals)
        self._receiving.try_aside()
        self._receiving.acknowledge_broadcasts()
        self._talks.renew_if_due()
        self._receiving.rekeying.ask_again()
        self._offering.refresh()
        up = [link for link in self._links if link.state() in (LinkState.UP, LinkState.BUSY)]
        self._sending.note_up(up)
        self._calling.call(up)
        for link in up:
            self._sending.send_by(link, up)
        self._reporting.report()
        return len(up)

    @property
    def enrolled(self) -> bool:
        """Whether we may send records (the core always may)."""
        return self._standing.enrolled

    @property
    def refused(self) -> RefusalReason | None:
        """Why the core does not enrol us, if it has said so."""
        return self._standing.not_enrolled_because


def _joining(identity: HeldIdentity, invite: Invite, curve_public: bytes, name: str, rng: Random) -> Joining:
    hello = make_hello(
        invite,
        unit=identity.unit,
        exchange_private=identity.exchange_private,
        exchange_public=identity.exchange_public,
        curve_public=curve_public,
        name=name,
    )
    return Joining(hello, rng)
