"""The core's kits as programs see them: the rows of `/api/v1/kits` and of `kit core kits --json`.

Invariant: whatever a kit sent can be shown. A time that no calendar holds is null, never an error: one stolen kit must
not blind the operator of all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.model.alert import MsgType
from kit.model.alert_state import AlertState
from kit.model.readings import explain_quality, qc_letter
from kit.model.times import rfc3339
from kit.store.links import LinkRow
from sync.core.bodies import LATEST_MS
from sync.core.store import (
    CoreStore,
    DayRow,
    EnrolledKit,
    ForecastRow,
    HourRow,
    InviteRow,
    Outcome,
    QuizRow,
    RefusedRecord,
    SeriesRow,
    TakenRecord,
)

RECENT_MS = 48 * 3_600_000
"""A warning that has ended is shown for two days: who confirmed it is asked for the morning after."""

SILENT_AFTER_MS = 2 * 3_600_000
"""A kit that works says something at least every hour; two missed in a row is no bad luck with one frame."""


@dataclass(frozen=True, kw_only=True)
class KitState:
    """Everything the core knows of one kit.

    Attributes:
        active: warnings that hold now, the worst first.
        ended: warnings that ended within the last two days, the newest first.
        early_receipts: confirmations of a warning that is itself still on its way.
        days: which fidelity there is of each series' last days.
        hours: summaries that are newer than the readings.
    """

    kit: EnrolledKit
    active: tuple[AlertState, ...]
    ended: tuple[AlertState, ...]
    early_receipts: int
    series: tuple[SeriesRow, ...]
    forecast: ForecastRow | None
    quizzes: tuple[QuizRow, ...]
    days: tuple[DayRow, ...] = ()
    hours: tuple[HourRow, ...] = ()

    @property
    def unconfirmed(self) -> bool:
        """Whether something holds that nobody has confirmed."""
        return any(not state.receipts for state in self.active)

    def silent(self, now_ms: int) -> bool:
        """Whether it should have been heard by now and was not."""
        last = self.kit.last_heard.at_ms if self.kit.last_heard else self.kit.enrolled_ms
        return now_ms - last > SILENT_AFTER_MS

    @property
    def readings(self) -> int:
        """How many readings of it are here."""
        return sum(row.count for row in self.series)


def kit_states(store: CoreStore, *, now_ms: int) -> list[KitState]:
    """Every kit, those that need somebody first: unconfirmed warnings, warnings, twins, silence, then by name."""
    states = [_state(store, kit, now_ms) for kit in store.kits()]
    return sorted(
        states,
        key=lambda s: (
            not s.unconfirmed,
            not s.active,
            s.kit.twin_ms is None,
            not s.silent(now_ms),
            s.kit.name.casefold(),
        ),
    )


def _state(store: CoreStore, kit: EnrolledKit, now_ms: int) -> KitState:
    incidents = store.alerts(kit.unit, until_after_ms=now_ms - RECENT_MS)
    active = [state for state in incidents if not state.ended(now_ms)]
    return KitState(
        kit=kit,
        active=tuple(sorted(active, key=lambda state: state.alert.severity.rank)),
        ended=tuple(state for state in incidents if state.ended(now_ms)),
        early_receipts=store.early_receipts(kit.unit),
        series=tuple(sorted(store.series(kit.unit), key=_air_temperature_first)),
        forecast=store.forecast(kit.unit),
        quizzes=tuple(store.quizzes(kit.unit)),
        days=tuple(store.days(kit.unit, now_ms=now_ms)),
        hours=tuple(sorted(store.hours(kit.unit), key=_air_temperature_first)),
    )


def _air_temperature_first(row: SeriesRow | HourRow) -> bool:
    return row.quantity.partition(":")[0] != "temperature"


def kit_json(state: KitState, *, now_ms: int) -> dict[str, Any]:
    """One kit."""
    kit, last = state.kit, state.kit.last_heard
    return {
        "unit": kit.unit,
        "name": kit.name,
        "link_id": kit.link_id,
        "enrolled": utc(kit.enrolled_ms),
        "last_heard": utc(last.at_ms) if last else None,
        "link": last.link if last else None,
        "heard": [{"link": heard.link, "last_heard": utc(heard.at_ms)} for heard in kit.heard],
        "silent": state.silent(now_ms),
        "twin": None if kit.twin_ms is None else utc(kit.twin_ms),
        "records": kit.records,
        "warnings": [warning_json(each, now_ms=now_ms) for each in (*state.active, *state.ended)],
        "early_receipts": state.early_receipts,
        "forecast": None if state.forecast is None else _forecast_json(state.forecast),
        "readings": {
            "count": state.readings,
            "latest": [_series_json(row) for row in state.series],
            "hours": [_hour_json(row) for row in state.hours],
            "days": [_day_json(row) for row in state.days],
        },
        "quizzes": [_quiz_json(row) for row in state.quizzes],
    }


def warning_json(state: AlertState, *, now_ms: int) -> dict[str, Any]:
    """One warning and who has confirmed it."""
    alert = state.alert
    return {
        "identifier": alert.identifier,
        "incident": alert.incident,
        "event": alert.event,
        "severity": alert.severity.value,
        "area": alert.area.name,
        "sent": utc(alert.sent_ms),
        "onset": utc(alert.onset_ms),
        "expires": utc(alert.expires_ms),
        "state": state.standing(now_ms).value,
        "all_clear": alert.msg_type is MsgType.CANCEL,
        "parameters": dict(alert.parameters),
        "confirmed_by": state.confirmed_by,
        "receipts": [
            {"alert": each.alert, "person": each.person, "channel": each.channel, "time": utc(each.at_ms)}
            for each in state.receipts
        ],
    }


def core_json(store: CoreStore, *, unit: str, name: str, now_ms: int, room: str = "") -> dict[str, Any]:
    """The core at a glance, as `kit core status --json` shows it; `room` is what is wrong with the disk."""
    states = kit_states(store, now_ms=now_ms)
    counts = store.counts()
    active = [alert for state in states for alert in state.active]
    heard = [state.kit.last_heard.at_ms for state in states if state.kit.last_heard]
    return {
        "core": unit,
        "name": name,
        "time": utc(now_ms),
        "problems": [room] if room else [],
        "kits": len(states),
        "twins": [state.kit.name for state in states if state.kit.twin_ms is not None],
        "silent": sum(state.silent(now_ms) for state in states),
        "last_heard": utc(max(heard, default=None)),
        "warnings": len(active),
        "unconfirmed": sum(not alert.receipts for alert in active),
        "invites": invites_json(store.open_invites(now_ms=now_ms)),
        "records": {
            "taken": counts.taken,
            "applied": counts.applied,
            "raw": counts.raw,
            "undecodable": counts.undecodable,
            "refused": counts.refused,
        },
        "links": [_link_json(row) for row in store.links()],
    }


def record_json(record: TakenRecord) -> dict[str, Any]:
    """One record, as `kit core records --json` shows it."""
    return {
        "origin": record.id.origin,
        "epoch": record.id.epoch,
        "seq": record.id.seq,
        "kind": record.kind,
        "priority": int(record.priority),
        "applied": record.outcome is not Outcome.UNDECODABLE,
        "link": record.link,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "bytes": record.size_bytes,
        "created": utc(record.created_ms),
        "received": utc(record.received_ms),
    }


def refused_json(record: RefusedRecord) -> dict[str, Any]:
    """One record that was not believed."""
    return {
        "peer": record.peer,
        "origin": record.id.origin,
        "epoch": record.id.epoch,
        "seq": record.id.seq,
        "kind": record.kind,
        "reason": record.reason,
        "link": record.link,
        "first": utc(record.first_ms),
        "times": record.times,
    }


def invites_json(invites: Sequence[InviteRow]) -> list[dict[str, Any]]:
    """Open invites, without what would let anybody in."""
    return [
        {"name": row.name, "link_id": row.link_id, "created": utc(row.created_ms), "expires": utc(row.expires_ms)}
        for row in invites
    ]


def utc(at_ms: int | None) -> str | None:
    """RFC 3339, or None for a time that no calendar holds."""
    if at_ms is None or not 0 <= at_ms <= LATEST_MS:
        return None
    return rfc3339(at_ms)


def _link_json(row: LinkRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "explain": row.explain,
        "last_heard": utc(row.last_heard_ms),
        "last_sent": utc(row.last_sent_ms),
        "airtime_left_s": None if row.airtime_left_ms is None else row.airtime_left_ms / 1000,
    }


def _forecast_json(row: ForecastRow) -> dict[str, Any]:
    return {
        "night": row.night,
        "device": row.device,
        "tmin_c": row.tmin_c,
        "tmin_p10_c": row.tmin_p10_c,
        "tmin_p90_c": row.tmin_p90_c,
        "p_frost": row.p_frost,
        "warning": row.warning,
        "issued": utc(row.issued_ms),
    }


def _series_json(row: SeriesRow) -> dict[str, Any]:
    return {
        "device": row.device,
        "quantity": row.quantity,
        "unit": row.unit_symbol,
        "count": row.count,
        "time": utc(row.latest_ms),
        "value": row.latest_value,
        "quality": row.quality,
        "quality_words": explain_quality(row.quality),
        "qc": qc_letter(row.quality),
    }


def _hour_json(row: HourRow) -> dict[str, Any]:
    return {
        "device": row.device,
        "quantity": row.quantity,
        "unit": row.unit_symbol,
        "hour": utc(row.hour_ms),
        "count": row.count,
        "mean": row.mean,
        "low": row.low,
        "high": row.high,
    }


def _day_json(row: DayRow) -> dict[str, Any]:
    return {
        "device": row.device,
        "quantity": row.quantity,
        "unit": row.unit_symbol,
        "day": (utc(row.day_ms) or "")[:10],
        "fidelity": row.fidelity.value,
        "readings": row.readings,
        "summarised": row.told,
    }


def _quiz_json(row: QuizRow) -> dict[str, Any]:
    return {
        "lesson": row.lesson,
        "version": row.version,
        "attempts": row.attempts,
        "questions": row.questions,
        "mean_score": round(row.mean_score, 2),
        "until": utc(row.until_ms),
    }
