"""What the sessions are offered to send: the store is asked when somebody has written, and every now and then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from kit.clock import Clock
from sync.engine.conversation import Conversation
from sync.engine.multicasting import Broadcasting
from sync.engine.standing import Standing
from sync.engine.talks import Talks
from sync.protocol.errors import RecordTooLarge
from sync.protocol.peers import PeerBook
from sync.protocol.records import RecordId, RecordStore

OFFER_RECORDS = 2048
"""What a session knows of a backlog at once: enough to fill what is in flight on the fastest link."""

OFFER_LOW = OFFER_RECORDS // 2
"""More are looked up when fewer are left."""

OFFER_BYTES = 512 * 1024
"""Bodies that a store gives at once in any case: where there are fewer, nothing else waits."""

NEWS_RECORDS = 64
"""So many of the most urgent are looked up whenever somebody has written: an alert is among them."""

REFRESH_S = 60.0
"""The store is asked anew at least this often (kit seconds): lifetimes end without anybody writing."""

LOG = logging.getLogger("sync")


class Offering:
    """Offers the sessions what the store would have sent, when that may have changed.

    Args:
        talks: whose sessions.
        store: ours.
        peers: who there is to talk to.
        standing: whether we may.
        clock: kit time.
        broadcasting: at the core, what it says to all of its kits.
        changed: a number that changes when somebody else wrote to the store; None = ask every `REFRESH_S`.
        due_now: records that a technician wants sent at once.
    """

    def __init__(
        self,
        *,
        talks: Talks,
        store: RecordStore,
        peers: PeerBook,
        standing: Standing,
        clock: Clock,
        broadcasting: Broadcasting | None,
        changed: Callable[[], int] | None,
        due_now: Callable[[], Sequence[RecordId]] | None,
    ) -> None:
        self._talks, self._store, self._peers, self._standing, self._clock = talks, store, peers, standing, clock
        self._broadcasting, self._changed, self._due_now = broadcasting, changed, due_now
        self._seen_change: int | None = None
        self._refresh_at = float("-inf")

    def anew(self) -> None:
        """Ask the store for everything in the next round: who is to have what has changed."""
        self._refresh_at = float("-inf")

    def refresh(self) -> None:
        """Once a round."""
        now = self._clock.monotonic()
        change = self._changed() if self._changed is not None else None
        news, all_anew = change != self._seen_change, now >= self._refresh_at
        if all_anew:
            self._refresh_at = now + REFRESH_S
        if all_anew or news:
            # who was removed at the core is not talked to, nor is anybody while we are not enrolled
            self._talks.keep_only(self._peers.all() if self._standing.enrolled else ())
            if self._broadcasting is not None:
                self._broadcasting.refresh(now_ms=self._now_ms())
        self._seen_change = change
        retries = list(self._due_now()) if self._due_now is not None and (news or all_anew) else []
        # a core has many kits, and mostly nothing new for nearly all of them
        waited_for_by = self._store.waited_for_by(now_ms=self._now_ms()) if news and not all_anew else None
        for conversation in self._talks.all():
            concerned = news and (waited_for_by is None or _concerns(conversation, waited_for_by))
            if not (concerned or all_anew or conversation.offer_again):
                continue
            self._offer(conversation, news_only=not (all_anew or conversation.offer_again or retries))
            if retries:
                conversation.session.due_now(retries)
            conversation.touch()

    def _offer(self, conversation: Conversation, *, news_only: bool) -> None:
        session = conversation.session
        if session.peer.twin:
            return
        limit = NEWS_RECORDS if news_only else OFFER_RECORDS
        records = self._store.outgoing(session.peer.unit, now_ms=self._now_ms(), limit=limit)
        # a store gives at least so much if it has it
        complete = len(records) < limit and sum(len(record.body) for record in records) < OFFER_BYTES
        conversation.offer_again = False
        session.hearing.withheld = frozenset()
        if self._broadcasting is not None:
            session.no_longer_wanted(self._broadcasting.no_longer_true)
        if self._broadcasting is not None and self._talks.hears_radio_only(session.peer.unit):
            records, session.hearing.withheld = self._broadcasting.split(session.peer.unit, records)
        try:
            session.offer(records, replaces=not news_only, complete=complete and not news_only)
        except RecordTooLarge as error:
            LOG.warning("%s", error)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _concerns(conversation: Conversation, waited_for_by: Collection[str]) -> bool:
    """Whether there is, or was until now, anything for that peer."""
    session = conversation.session
    return session.peer.unit in waited_for_by or session.offered > 0 or bool(session.hearing.withheld)
