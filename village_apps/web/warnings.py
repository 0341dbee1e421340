"""The warnings that stand, as a page shows them: in the reader's language, with who has confirmed them.

Confirmed means that a person has said so; a warning without a receipt says "Nobody has confirmed this yet" wherever it
is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import g

from kit.alerts.lifecycle import Alerts, UnknownAlertError
from kit.model.alert_state import AlertState
from kit.store.alerts import standing_all_clears
from village_apps.web.reader import context, database, language, now_ms

CHANNEL = "web"
"""How a receipt given on a page came (see `kit.model.alert.Receipt`)."""


@dataclass(frozen=True, kw_only=True)
class StandingWarning:
    """One warning in one language.

    Attributes:
        identifier: of the CAP message.
        headline, description, instruction: for people; description and instruction may be empty.
        onset_ms: when the danger begins, Unix ms; None = not known.
        expires_ms: when it ends by itself, Unix ms.
        people: who has confirmed it, the first one first, each once; "" stands for somebody without a name.
        first_ms: when the first of them did, Unix ms.
        from_city: the city core says so, not this kit.
    """

    identifier: str
    headline: str
    description: str
    instruction: str
    onset_ms: int | None
    expires_ms: int
    people: tuple[str, ...]
    first_ms: int | None
    from_city: bool = False

    @property
    def confirmed(self) -> bool:
        """Whether a person has said that they have seen it."""
        return bool(self.people)


def alerts() -> Alerts:
    """The alerts, on this thread's connection."""
    found = context()
    return Alerts(database(), found.clock, sender=f"{found.unit}@village-kit", area=found.settings.unit.area)


def standing_alerts() -> list[AlertState]:
    """What holds now, the worst first; read once per request."""
    if "standing_alerts" not in g:
        g.standing_alerts = alerts().active(now_ms())
    found: list[AlertState] = g.standing_alerts
    return found


def standing_warnings() -> list[StandingWarning]:
    """The same in the reader's language."""
    return [as_warning(state, language()) for state in standing_alerts()]


def all_clears() -> list[StandingWarning]:
    """All-clears that are still news, in the reader's language."""
    return [as_warning(state, language()) for state in standing_all_clears(database().connection, now_ms())]


def confirm_warning(identifier: str, *, person: str) -> bool:
    """Keep a person's receipt, with the record that tells the city; False if there is no such warning."""
    try:
        alerts().confirm(identifier, person=person, channel=CHANNEL)
    except UnknownAlertError:
        return False
    return True


def as_warning(state: AlertState, wanted: str) -> StandingWarning:
    """An alert in the wanted language, else in the first it has."""
    alert = state.alert
    text = alert.text(wanted)
    return StandingWarning(
        identifier=alert.identifier,
        headline=text.headline or text.event if text else alert.event,
        description=text.description if text else "",
        instruction=text.instruction if text else "",
        onset_ms=alert.onset_ms,
        expires_ms=alert.expires_ms,
        people=tuple(dict.fromkeys(receipt.person for receipt in state.receipts)),
        first_ms=state.first_confirmed_ms,
        from_city=alert.sender.startswith("core-"),
    )
