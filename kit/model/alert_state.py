"""How an alert stands: who has confirmed it, whether it has ended, and the words for that.

Invariant: confirmed means that a person said so. An alert that nobody has confirmed says "unconfirmed" wherever it is
shown, however many machines have passed it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kit.model.alert import Alert, MsgType, Receipt, rfc3339
from kit.model.cap import to_json


class Standing(StrEnum):
    """What people are told about an alert at a glance."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class AlertState:
    """An alert with what has become of it.

    Attributes:
        receipts: those that count for it, the first one first (see `counting_receipts`).
        superseded_by: the identifier of the message that replaced it, if any.
    """

    alert: Alert
    receipts: tuple[Receipt, ...] = ()
    superseded_by: str | None = None

    @property
    def confirmed_by(self) -> int:
        """How many people have confirmed it; those who gave no name count once per channel."""
        return len({receipt.person or f"\0{receipt.channel}" for receipt in self.receipts})

    @property
    def first_confirmed_ms(self) -> int | None:
        """When the first of them did, Unix ms."""
        return min((receipt.at_ms for receipt in self.receipts), default=None)

    def ended(self, now_ms: int) -> bool:
        """Whether it no longer holds: cancelled, replaced, or past its time."""
        return (
            self.superseded_by is not None or self.alert.msg_type is MsgType.CANCEL or self.alert.expires_ms <= now_ms
        )

    def standing(self, now_ms: int) -> Standing:
        """At a glance."""
        if self.ended(now_ms):
            return Standing.ENDED
        return Standing.CONFIRMED if self.receipts else Standing.UNCONFIRMED

    def words(self, now_ms: int) -> str:
        """For the technician, in English: `unconfirmed`, `confirmed by 2, first at …`, `ended`."""
        standing = self.standing(now_ms)
        first_ms = self.first_confirmed_ms
        if first_ms is None:
            return standing.value if standing is Standing.UNCONFIRMED else f"{standing.value}, never confirmed"
        who = f"confirmed by {self.confirmed_by}, first at {rfc3339(first_ms)}"
        return who if standing is Standing.CONFIRMED else f"{standing.value}, {who}"

    def as_json(self, now_ms: int) -> dict[str, Any]:
        """As `kit alerts ls --json` shows it: CAP's fields, and how it stands."""
        first_ms = self.first_confirmed_ms
        return to_json(self.alert) | {
            "state": self.standing(now_ms).value,
            "words": self.words(now_ms),
            "confirmed_by": self.confirmed_by,
            "first_confirmed": None if first_ms is None else rfc3339(first_ms),
            "receipts": [
                {
                    "alert": receipt.alert,
                    "person": receipt.person,
                    "channel": receipt.channel,
                    "time": rfc3339(receipt.at_ms),
                }
                for receipt in self.receipts
            ],
            "superseded_by": self.superseded_by,
        }


def counting_receipts(incident: Sequence[Alert], receipts: Sequence[Receipt]) -> tuple[Receipt, ...]:
    """The receipts that count for the newest message of an incident.

    A forecast is issued anew every hour; who has confirmed the danger need not confirm each correction. But an update
    that is *worse* than anything confirmed so far has to be seen again: then only receipts from that message on count.

    Args:
        incident: its messages in the order they were issued.
        receipts: all that were given for any of them.
    """
    start, worst = 0, None
    for index, alert in enumerate(incident):
        if alert.msg_type is MsgType.CANCEL:
            continue
        if worst is not None and alert.severity.rank < worst:
            start = index
        worst = alert.severity.rank if worst is None else min(worst, alert.severity.rank)
    counted = {alert.identifier for alert in incident[start:]}
    return tuple(sorted((r for r in receipts if r.alert in counted), key=lambda receipt: receipt.at_ms))
