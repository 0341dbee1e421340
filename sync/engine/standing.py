"""How we stand with the core: asking to be taken in, welcome, or refused. The core itself always stands well."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sync.engine.joining import PRIORITY, Joining
from sync.engine.watched import WatchedLink
from sync.protocol.events import EnrolmentRefused, Welcomed
from sync.protocol.peers import RefusalReason

LOG = logging.getLogger("sync")


class Standing:
    """Whether records may go out, and why not.

    Args:
        joining: how a kit that is not enrolled yet says hello; None = there is nothing to ask.
        on_enrolled: told once when the core has welcomed us.
    """

    def __init__(self, joining: Joining | None, on_enrolled: Callable[[Welcomed], None] | None) -> None:
        self._joining, self._on_enrolled = joining, on_enrolled
        self._core_refuses: RefusalReason | None = None

    @property
    def enrolled(self) -> bool:
        """Whether we may talk to our peers (the core always may)."""
        return self._joining is None

    @property
    def may_send_records(self) -> bool:
        """Whether the core takes what we send."""
        return self._core_refuses is None

    @property
    def not_enrolled_because(self) -> RefusalReason | None:
        """Why the core does not enrol us, if it has said so."""
        return self._joining.refused if self._joining is not None else None

    @property
    def refused(self) -> RefusalReason | None:
        """Why the core does not want us, enrolled or not."""
        return self._core_refuses or self.not_enrolled_because

    @property
    def sentence(self) -> str:
        """For the technician; "" = we are welcome."""
        if self._joining is not None:
            return self._joining.sentence
        return "" if self._core_refuses is None else self._core_refuses.sentence

    def say_hello(self, link: WatchedLink, now: float) -> None:
        """Say hello by that link if it is time to."""
        joining = self._joining
        if joining is not None and joining.due(link.name, now) and link.send(joining.frame, priority=PRIORITY, to=None):
            joining.said(link.name, now, mtu_bytes=link.mtu_bytes)

    def welcomed(self, event: Welcomed) -> None:
        """The core has taken us in."""
        if self._joining is None:
            return
        self._joining = None
        LOG.info("enrolled at %s", event.name or "the city core")
        if self._on_enrolled is not None:
            self._on_enrolled(event)

    def refuse(self, event: EnrolmentRefused, now: float) -> None:
        """The core says no."""
        if self._joining is not None:
            if self._joining.refused is not event.reason:
                LOG.warning("not enrolled: %s", event.reason.sentence)
            self._joining.was_refused(event.reason, now)
            return
        if event.reason is not RefusalReason.TWIN:
            return  # the answer to a hello: we say none any more, so that is an old one, which somebody plays again
        if self._core_refuses is not event.reason:
            LOG.warning("refused: %s", event.reason.sentence)
        self._core_refuses = event.reason

    def heard_well(self) -> None:
        """The core has said something else than no."""
        self._core_refuses = None
