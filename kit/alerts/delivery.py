"""Delivery: what stands is on `alerts/<area>`, and a severe danger sounds the siren.

Invariants. *The siren sounds once per incident*: noted right after it was switched on, so a crash in between repeats
it once, and nothing misses it while the alert holds. *It falls silent* as soon as no danger holds that it sounds for.
*The topic shows what the store holds*: what the broker has acknowledged is noted by its digest; whatever differs is
published again until it is acknowledged. The first pass after a start publishes in any case, since an external broker
may have forgotten. A publish confirms nothing: only people do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from hardware.ports import HardwareError, Siren
from kit.alerts.escalation import Escalation
from kit.bus import Bus, BusError
from kit.clock import Clock
from kit.model.alert import Alert, Severity, rfc3339
from kit.model.alert_state import AlertState
from kit.model.cap import to_cap_xml
from kit.store import alerts as store
from kit.store.database import Database
from kit.store.facts import get_fact, put_fact

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How soon a new alert is noticed (kit seconds)."""

SHORTEST_WAIT_S = 0.02
"""Real seconds between two looks, however fast a simulated clock runs."""

RETRY_S = 15.0
"""Between two tries of a siren or broker that does not answer, and how late an expiry may be noticed (kit seconds)."""

SIREN_FROM = Severity.SEVERE
"""Nobody gets up at night for less; a siren that cries wolf is taken off its pole."""

PROBLEM_SIREN = "problem/siren"
PROBLEM_TOPIC = "problem/alerts-topic"
"""Facts `{"problem": sentence}`; an empty sentence means that it is over."""


class AlertDelivery:
    """A service. `step` does what is due; `run` calls it until told to stop.

    Args:
        database: the kit's store, open, for this service's thread alone.
        clock: decides what has expired and how long to wait.
        bus: the MQTT client.
        siren: None where the unit has none.
        area: last part of the topic.
        sound_s: how long the siren sounds for one warning (kit seconds).
        escalation: told about alerts that nobody has confirmed.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        bus: Bus,
        siren: Siren | None,
        area: str,
        *,
        sound_s: float = 60.0,
        escalation: Escalation | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._bus = bus
        self._siren = siren
        self._sound_s = sound_s
        self._escalation = escalation
        self._topic = f"alerts/{area}"
        self._published_since_start = False
        self._silenced_ms = 0
        self._retry_at: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        seen, stepped_at = -1, 0.0
        while not stop.is_set():
            # asking for the version costs microseconds; loading and rendering the alerts does not
            version, now_s = self._database.changed_elsewhere(), self._clock.monotonic()
            if version != seen or now_s - stepped_at >= RETRY_S:
                seen, stepped_at = version, now_s
                self.step()
            stop.wait(max(SHORTEST_WAIT_S, self._clock.real(POLL_S)))

    def step(self) -> None:
        """Sound and publish what is due. The siren first: a broker that does not answer must not keep it waiting."""
        now_ms = int(self._clock.now() * 1000)
        active = store.active_alerts(self._database.connection, now_ms)
        self._sound(active, now_ms)
        self._silence(active, now_ms)
        self._publish(active, now_ms)
        unconfirmed = [state for state in active if not state.receipts]
        if self._escalation is not None and unconfirmed:
            self._escalation.consider(unconfirmed, now_ms=now_ms)

    def _sound(self, active: Sequence[AlertState], now_ms: int) -> None:
        loud = _loud(active)
        due = sorted(loud - store.sounded_incidents(self._database.connection, loud))
        if self._siren is None or not due or self._too_soon(PROBLEM_SIREN):
            return
        siren = self._siren
        if self._try(PROBLEM_SIREN, lambda: siren.sound(self._sound_s), now_ms):
            with self._database.atomic() as connection:
                for incident in due:
                    store.mark_sounded(connection, incident, at_ms=now_ms)

    def _silence(self, active: Sequence[AlertState], now_ms: int) -> None:
        """A siren that still sounds for what is over alarms people for nothing; told once for each sounding."""
        if self._siren is None or self._too_soon(PROBLEM_SIREN):
            return
        sounded = store.sounded_since(self._database.connection, now_ms - int(self._sound_s * 1000))
        latest_ms = max(sounded.values(), default=0)
        if latest_ms <= self._silenced_ms or _loud(active) & sounded.keys():
            return
        if self._try(PROBLEM_SIREN, self._siren.silence, now_ms):
            self._silenced_ms = latest_ms

    def _publish(self, active: Sequence[AlertState], now_ms: int) -> None:
        connection = self._database.connection
        payload = topic_payload(active or store.standing_all_clears(connection, now_ms)[:1], now_ms=now_ms)
        digest = hashlib.blake2b(payload, digest_size=16).digest()
        before = store.published_digest(connection, self._topic)
        if before is None and not payload:
            self._published_since_start = True  # nothing was ever said, so there is nothing to take back
            return
        if (before == digest and self._published_since_start) or self._too_soon(PROBLEM_TOPIC):
            return
        if self._try(PROBLEM_TOPIC, lambda: self._bus.publish(self._topic, payload, retain=True), now_ms):
            with self._database.atomic() as inside:
                store.mark_published(inside, self._topic, digest, at_ms=now_ms)
            self._published_since_start = True

    def _try(self, problem: str, act: Callable[[], None], now_ms: int) -> bool:
        try:
            act()
        except (HardwareError, BusError) as error:
            self._retry_at[problem] = self._clock.monotonic() + RETRY_S
            self._tell(problem, str(error) or type(error).__name__, now_ms)
            return False
        self._retry_at.pop(problem, None)
        self._tell(problem, "", now_ms)
        return True

    def _too_soon(self, problem: str) -> bool:
        return self._clock.monotonic() < self._retry_at.get(problem, 0.0)

    def _tell(self, problem: str, sentence: str, now_ms: int) -> None:
        """Make a new problem, or its end, visible; the same one again is no news."""
        told = get_fact(self._database.connection, problem)
        if (told[1].get("problem", "") if told else "") == sentence:
            return
        log.warning("%s: %s", problem, sentence or "over")
        with self._database.atomic() as connection:
            put_fact(connection, problem, {"problem": sentence}, at_ms=now_ms)


def _loud(active: Sequence[AlertState]) -> set[str]:
    """The incidents that are bad enough for the siren."""
    return {state.alert.incident for state in active if state.alert.severity.rank <= SIREN_FROM.rank}


def topic_payload(states: Sequence[AlertState], *, now_ms: int) -> bytes:
    """The retained payload: the worst alert, and the others under `also`; empty when nothing stands."""
    if not states:
        return b""
    first, *others = states
    told = _as_topic_json(first, now_ms) | {"cap_xml": to_cap_xml(first.alert).decode()}
    told["also"] = [_as_topic_json(other, now_ms) | {"cap_xml": to_cap_xml(other.alert).decode()} for other in others]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _as_topic_json(state: AlertState, now_ms: int) -> dict[str, Any]:
    alert: Alert = state.alert
    return {
        "identifier": alert.identifier,
        "msgType": alert.msg_type.value,
        "event": alert.event,
        "urgency": alert.urgency.value,
        "severity": alert.severity.value,
        "certainty": alert.certainty.value,
        "sent": rfc3339(alert.sent_ms),
        "onset": None if alert.onset_ms is None else rfc3339(alert.onset_ms),
        "expires": rfc3339(alert.expires_ms),
        "area": alert.area.name,
        "headline": {info.language: info.headline for info in alert.infos},
        "instruction": {info.language: info.instruction for info in alert.infos},
        "parameters": dict(alert.parameters),
        "references": [reference.identifier for reference in alert.references],
        "state": state.standing(now_ms).value,
        "confirmed_by": state.confirmed_by,
    }
