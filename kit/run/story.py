"""The night in plain lines: what a person watching `kit run` needs to know, said once, as it happens.

Pure: `Story.look` is shown one `Moment` after another and answers with the lines that became true. It never says more
than the store knows: a warning "left", the city core "has it", a person "has seen it" — nothing is "delivered".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kit.model.forecast import NightForecast

HOUR_MS = 3_600_000

REMINDER_MS = 2 * HOUR_MS
"""How long a warning may stand unconfirmed before the terminal says so again."""

NOTABLE_CHANGE_C = 1.0
"""A re-issued forecast is told when the expected minimum has moved by this much."""


@dataclass(frozen=True, kw_only=True)
class AlertMoment:
    """What is known of one alert.

    Attributes:
        identifier: the alert's.
        sent_ms: when it was raised.
        event: the danger in a word.
        onset_ms: when it is expected to begin.
        ended: whether it was cancelled or has expired.
        left_by: the link it left by, or "".
        core_by: the link over which the core acknowledged it, or "".
        receipts: (person, link over which the core acknowledged the receipt or "").
    """

    identifier: str
    sent_ms: int
    onset_ms: int | None
    ended: bool
    left_by: str = ""
    core_by: str = ""
    receipts: tuple[tuple[str, str], ...] = ()
    event: str = "frost"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What the store knows now.

    Attributes:
        now_ms: kit time.
        air_c: the latest air temperature, °C.
        forecast: the latest forecast.
        alerts: all alerts of this run.
        siren: whether it sounds.
        links_up: names of the links that are up.
        waiting: records that the core has not acknowledged.
        history_days: days of readings in the store.
    """

    now_ms: int
    air_c: float | None
    forecast: NightForecast | None
    alerts: tuple[AlertMoment, ...] = ()
    siren: bool = False
    links_up: frozenset[str] = frozenset()
    waiting: int = 0
    history_days: int = 0


@dataclass
class Story:
    """Tells each thing once.

    Args:
        timezone: the village's, for the times shown.
        portal: the address of the page.
    """

    timezone: ZoneInfo
    portal: str
    _told: set[str] = field(default_factory=set)
    _told_minimum_c: float | None = None
    _coldest_c: float | None = None
    _reminded_ms: int = 0

    def look(self, moment: Moment) -> list[str]:
        """The lines that became true since the last look, with local time."""
        if moment.air_c is not None:
            self._coldest_c = moment.air_c if self._coldest_c is None else min(self._coldest_c, moment.air_c)
        lines = [
            *self._beginning(moment),
            *(self._forecast(moment) if "beginning" in self._told else ()),
            *(line for alert in moment.alerts for line in self._alert(moment, alert)),
            *self._network(moment),
        ]
        stamp = self._local(moment.now_ms)
        return [f"{stamp}  {line}" for line in lines]

    def _beginning(self, moment: Moment) -> list[str]:
        if moment.air_c is None or not self._first("beginning"):
            return []
        self._coldest_c = moment.air_c
        day = datetime.fromtimestamp(moment.now_ms / 1000, UTC).astimezone(self.timezone)
        learned = f" {moment.history_days} days of this site are in the store." if moment.history_days else ""
        return [f"{day:%A %d %B %Y}. The air is {_degrees(moment.air_c)}.{learned}"]

    def _forecast(self, moment: Moment) -> list[str]:
        forecast = moment.forecast
        if forecast is None:
            return []
        range_text = f"{_degrees(forecast.tmin_p10_c)} to {_degrees(forecast.tmin_p90_c)}"
        if self._first(f"forecast {forecast.night}"):
            self._told_minimum_c = forecast.tmin_c
            self._coldest_c = moment.air_c  # of this night, not of the one before
            return [
                (
                    f"Forecast for the night: {_degrees(forecast.tmin_c)} expected, eight nights in ten {range_text}; "
                    f"chance of {_degrees(forecast.threshold_c)}: {forecast.p_frost:.0%}."
                )
            ]
        told = self._told_minimum_c
        if told is not None and abs(forecast.tmin_c - told) >= NOTABLE_CHANGE_C and moment.now_ms < forecast.sunrise_ms:
            self._told_minimum_c = forecast.tmin_c
            return [f"The forecast is now {_degrees(forecast.tmin_c)} ({range_text})."]
        return []

    def _alert(self, moment: Moment, alert: AlertMoment) -> list[str]:
        name = alert.identifier
        lines: list[str] = []
        if not alert.ended and self._first(f"raised {name}"):
            self._reminded_ms = moment.now_ms
            lines.append(self._warning(alert))
        if moment.siren and self._first(f"siren {name}"):
            lines.append("The siren sounds.")
        if alert.left_by and self._first(f"left {name}"):
            lines.append(f"The warning left the village over {alert.left_by}.")
        if alert.core_by and self._first(f"core {name}"):
            lines.append(f"The city core has the warning (acknowledged over {alert.core_by}).")
        lines += self._receipts(alert)
        lines += self._unconfirmed(moment, alert)
        lines += self._night(moment, alert)
        return lines

    def _warning(self, alert: AlertMoment) -> str:
        lead = ""
        if alert.onset_ms is not None and alert.onset_ms > alert.sent_ms:
            hours = (alert.onset_ms - alert.sent_ms) / HOUR_MS
            lead = f" from about {self._local(alert.onset_ms)}, in {hours:.1f} hours"
        danger = "" if alert.event == "warning" else f"{alert.event.upper()} "
        return f'{danger}WARNING{lead}. Nobody has confirmed it: open {self.portal} and press "I have seen this".'

    def _receipts(self, alert: AlertMoment) -> list[str]:
        lines = []
        for person, link in alert.receipts:
            if self._first(f"seen {alert.identifier} {person}"):
                lines.append(f"{person} has seen the warning.")
            if link and self._first(f"seen at core {alert.identifier} {person}"):
                lines.append(f"The city core knows that {person} has seen it (acknowledged over {link}).")
        return lines

    def _unconfirmed(self, moment: Moment, alert: AlertMoment) -> list[str]:
        due = moment.now_ms - self._reminded_ms >= REMINDER_MS
        if alert.ended or alert.receipts or not due:
            return []
        self._reminded_ms = moment.now_ms
        return [f"Still nobody has confirmed the warning ({self.portal})."]

    def _night(self, moment: Moment, alert: AlertMoment) -> list[str]:
        lines = []
        threshold = moment.forecast.threshold_c if moment.forecast else 0.0
        if (
            moment.air_c is not None
            and moment.air_c <= threshold
            and not alert.ended
            and self._first(f"reached {alert.identifier}")
        ):
            hours = (moment.now_ms - alert.sent_ms) / HOUR_MS
            lines.append(f"The air has reached {_degrees(threshold)}, {hours:.1f} hours after the warning.")
        if alert.ended and f"raised {alert.identifier}" in self._told and self._first(f"ended {alert.identifier}"):
            coldest = f" The coldest was {_degrees(self._coldest_c)}." if self._coldest_c is not None else ""
            lines.append(f"All clear.{coldest}")
        return lines

    def _network(self, moment: Moment) -> list[str]:
        if "cellular" not in moment.links_up:
            return []
        lines = []
        if self._first("cellular"):
            behind = (
                f"{moment.waiting} records fill in behind" if moment.waiting else "the radio had carried everything"
            )
            lines.append(f"The mobile network is there: {behind}.")
        elif moment.waiting == 0 and self._first("all at core"):
            lines.append("Everything the kit wrote is at the city core.")
        return lines

    def _first(self, thing: str) -> bool:
        if thing in self._told:
            return False
        self._told.add(thing)
        return True

    def _local(self, at_ms: int) -> str:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.timezone):%H:%M}"


def _degrees(celsius: float) -> str:
    rounded = round(celsius, 1) + 0.0  # no minus zero
    return f"{rounded:.1f} °C".replace("-", "−")
