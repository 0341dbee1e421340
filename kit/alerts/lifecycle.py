"""The life of an alert: raised, updated, confirmed by people, cleared.

Invariant: an alert or a receipt, and the record that carries it to the core, are committed together or not at all.
Everything is idempotent, so that whoever was killed in the middle simply does it again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from kit.clock import Clock
from kit.errors import KitError
from kit.model.alert import (
    Alert,
    AlertError,
    AlertText,
    Area,
    MsgType,
    Receipt,
    receipt_body,
    to_record_body,
)
from kit.model.alert_state import AlertState
from kit.model.incident import cancel_of
from kit.store import alerts as store
from kit.store.database import Database
from kit.store.facts import count_change
from kit.store.records import write_record
from sync.protocol.records import Priority

NAME_CHARACTERS = 80
"""Of a person's name in a receipt; it crosses the radio."""

SUBJECT = "alerts"
"""What pages that show alerts depend on (`kit.store.facts.count_change`)."""


class UnknownAlertError(KitError):
    """There is no alert with this identifier."""


class Alerts:
    """Raise, update, clear and confirm alerts. Belongs to one thread at a time, like its database.

    Args:
        database: the kit's open store.
        clock: dates receipts and all-clears.
        sender: CAP sender of the alerts made here; no spaces or commas.
        area: whom they are for.
    """

    def __init__(self, database: Database, clock: Clock, *, sender: str, area: Area | str) -> None:
        self._database = database
        self._clock = clock
        self.sender = sender
        self.area = Area(area) if isinstance(area, str) else area

    def raise_alert(self, alert: Alert) -> None:
        """Issue a new alert. One with the same identifier changes nothing.

        Raises:
            AlertError: it is an update or a cancellation.
        """
        if alert.msg_type is not MsgType.ALERT:
            raise AlertError(f"a message of type {alert.msg_type} is not new; use update() or all_clear()")
        self._issue(alert)

    def update(self, alert: Alert) -> None:
        """Replace what was said before about the same danger.

        Raises:
            AlertError: it is no update, or refers to nothing.
        """
        if alert.msg_type is not MsgType.UPDATE or not alert.references:
            raise AlertError("an update has the type Update and refers to the first message of its incident")
        self._issue(alert)

    def all_clear(
        self,
        identifier: str,
        *,
        infos: Sequence[AlertText] = (),
        parameters: Mapping[str, float | str] | None = None,
    ) -> Alert:
        """End the incident that a message belongs to. A second call returns the first all-clear.

        Args:
            identifier: of any message of the incident.
            infos: the all-clear in the village's languages; without it the message has no text.
            parameters: for example the minimum that was measured.

        Raises:
            UnknownAlertError: there is no such message.
        """
        with self._database.atomic() as connection:
            last = self.get(identifier)
            before = store.all_clear_of(connection, last.alert.incident)
            if before is not None:
                return before
            while last.superseded_by is not None:
                last = self.get(last.superseded_by)
            clear = cancel_of(last.alert, sender=self.sender, now_ms=self._now_ms(), infos=infos, parameters=parameters)
            self._issue(clear)
        return clear

    def confirm(self, identifier: str, *, person: str, channel: str) -> Receipt:
        """Keep a person's receipt. The same person on the same channel confirms once.

        Args:
            identifier: the message that the person saw.
            person: the name given, or "".
            channel: how: "web", "sms", "radio", "tui".

        Raises:
            UnknownAlertError: there is no such message.
        """
        receipt = Receipt(alert=identifier, person=_clean(person), channel=channel, at_ms=self._now_ms())
        with self._database.atomic() as connection:
            self.get(identifier)
            before = store.insert_receipt(connection, receipt)
            if before is not None:
                return before
            write_record(
                connection,
                kind="receipt",
                priority=Priority.RECEIPT,
                body=receipt_body(receipt),
                created_ms=receipt.at_ms,
            )
            count_change(connection, SUBJECT)
        return receipt

    def active(self, now_ms: int | None = None) -> list[AlertState]:
        """What holds now, the worst first."""
        return store.active_alerts(self._database.connection, self._now_ms() if now_ms is None else now_ms)

    def get(self, identifier: str) -> AlertState:
        """One message with its receipts.

        Raises:
            UnknownAlertError: there is no such message.
        """
        state = store.find_alert(self._database.connection, identifier)
        if state is None:
            raise UnknownAlertError(f"there is no alert '{identifier}'; `kit alerts ls` lists them")
        return state

    def list(self, *, limit: int = 200) -> Sequence[AlertState]:
        """The messages issued last, the newest first."""
        return store.list_alerts(self._database.connection, limit=limit)

    def _issue(self, alert: Alert) -> None:
        with self._database.atomic() as connection:
            if not store.insert_alert(connection, alert):
                return
            write_record(
                connection,
                kind="alert",
                priority=Priority.DISTRESS,
                body=to_record_body(alert),
                created_ms=alert.sent_ms,
            )
            count_change(connection, SUBJECT)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _clean(name: str) -> str:
    """A name as it may be shown anywhere: one line, no control characters, bounded."""
    kept = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in name)
    return " ".join(kept.split())[:NAME_CHARACTERS]
