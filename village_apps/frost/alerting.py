"""The warning as CAP messages: what is written in them, in the village's languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from kit.model.alert import Alert, AlertText, Area, Certainty, Circle, MsgType, Reference, Severity, Urgency
from kit.model.forecast import NightForecast
from kit.settings import UnitSettings
from village_apps.frost import wording
from village_apps.frost.place import Place
from village_apps.frost.watch import EXPIRES_AFTER_SUNRISE_MS
from village_apps.phrases import Phrase, Phrases

PHRASES = Path(__file__).parent / "phrases"
RADIUS_KM = 5.0
"""How far around the thermometer the warning is meant: cold air pools in valleys, and the next one may differ."""

EXTREME_BELOW_C = -5.0
"""Most closed buds are killed below this (see the app `agri` for crops)."""

SOON_MS = 3_600_000

HALF_HOUR_MS = 1_800_000
"""The onset is told to the half hour before: a minute would pretend a precision that it does not have."""


def sender(unit: str) -> str:
    """The CAP sender of this unit."""
    return f"{unit}@village-kit"


def identifier(unit: str, night: str) -> str:
    """Of a night's warning; made of unit and night, so that it cannot be raised twice."""
    return f"frost-{unit}-{night}"


def area(settings: UnitSettings) -> Area:
    """Whom it concerns."""
    return Area(settings.area, Circle(settings.latitude, settings.longitude, RADIUS_KM))


def make_alert(forecast: NightForecast, *, unit: str, settings: UnitSettings, place: Place, onset: int | None) -> Alert:
    """The first warning of a night."""
    return Alert(
        identifier=identifier(unit, forecast.night),
        sender=sender(unit),
        sent_ms=forecast.issued_ms,
        event="frost",
        urgency=_urgency(forecast, onset),
        severity=_severity(forecast.tmin_c),
        certainty=Certainty.LIKELY if forecast.p_frost > wording.LIKELY else Certainty.POSSIBLE,
        onset_ms=onset,
        expires_ms=forecast.sunrise_ms + EXPIRES_AFTER_SUNRISE_MS,
        area=area(settings),
        infos=_infos(forecast, settings, place, onset),
        parameters={
            "tmin_c": forecast.tmin_c,
            "tmin_p10_c": forecast.tmin_p10_c,
            "tmin_p90_c": forecast.tmin_p90_c,
            "p_frost": forecast.p_frost,
            "threshold_c": forecast.threshold_c,
            "night": forecast.night,
        },
    )


def make_update(first: Alert, references: Sequence[Reference], *, number: int) -> Alert:
    """The same danger told again: `first` as `make_alert` would tell it now, as an update of the incident."""
    return replace(
        first, identifier=f"{first.identifier}-{number}", msg_type=MsgType.UPDATE, references=tuple(references)
    )


def all_clear_infos(settings: UnitSettings, *, lowest_c: float | None) -> tuple[AlertText, ...]:
    """The all-clear in the village's languages."""
    lowest = (
        Phrase("") if lowest_c is None else Phrase("The lowest reading was %(low)s.", {"low": wording.tenths(lowest_c)})
    )
    return tuple(
        AlertText(
            language=language,
            event=_say(language, wording.ALARM_EVENT),
            headline=_say(language, wording.ALL_CLEAR),
            description=_say(language, lowest) if lowest.msgid else "",
        )
        for language in _languages(settings)
    )


def _infos(forecast: NightForecast, settings: UnitSettings, place: Place, onset: int | None) -> tuple[AlertText, ...]:
    coldest_at = place.local(forecast.sunrise_ms / 1000).strftime("%H:%M")
    begun = onset is not None and onset <= forecast.issued_ms
    onset_at = (
        None if onset is None or begun else place.local(onset // HALF_HOUR_MS * HALF_HOUR_MS / 1000).strftime("%H:%M")
    )
    return tuple(
        AlertText(
            language=language,
            event=_say(language, wording.ALARM_EVENT),
            headline=_say(language, wording.headline(forecast, onset_at=onset_at)),
            description=_say(language, wording.description(forecast, coldest_at=coldest_at)),
            instruction=_say(language, wording.INSTRUCTION),
        )
        for language in _languages(settings)
    )


def _urgency(forecast: NightForecast, onset: int | None) -> Urgency:
    soon = onset is not None and onset - forecast.issued_ms <= SOON_MS
    return Urgency.IMMEDIATE if soon else Urgency.EXPECTED


def _severity(tmin_c: float) -> Severity:
    """Severe from the grower's own threshold on, so that the siren wakes at the first warning and not at an update."""
    return Severity.EXTREME if tmin_c <= EXTREME_BELOW_C else Severity.SEVERE


def _languages(settings: UnitSettings) -> tuple[str, ...]:
    """The village's languages that this app speaks; English if none."""
    return tuple(one for one in settings.languages if one in _phrases().languages) or ("en",)


def _say(language: str, said: Phrase) -> str:
    return _phrases().say(language, said)


@cache
def _phrases() -> Phrases:
    return Phrases.load([PHRASES])
