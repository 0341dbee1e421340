"""The frost service: forecasts through the night, raises the warning, gives the all-clear.

Invariant: whatever it has said is in the store, and nothing else is state. What it learns is computed anew from the
readings when it starts; a forecast, its fact, its record and the warning it raises are one transaction, and the warning
is named by unit and night. Killed at any instant it therefore repeats nothing and misses at most the minutes it was
dead: on starting it issues the hour that is due.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kit.alerts.lifecycle import Alerts
from kit.model.forecast import FROST_FACT, NightForecast
from kit.model.quantities import series_of
from kit.model.readings import UNFIT, Quality
from kit.store.facts import get_fact, put_fact
from kit.store.readings import latest_readings, spans
from kit.store.records import write_record
from sync.protocol.records import Priority
from village_apps.frost import alerting, wording
from village_apps.frost.place import NoNightError, Place, night_at
from village_apps.frost.station_history import HISTORY_MS, NOT_USED, choose_device, count_temperatures, observations
from village_apps.frost.tables import (
    FrostWarning,
    find_warning,
    keep_forecast,
    keep_warning,
    latest_slot,
    standing_warning,
)
from village_apps.frost.verdict import Rule, is_over, should_warn
from village_apps.frost.watch import (
    EXPIRES_AFTER_SUNRISE_MS,
    SILENT_AFTER_S,
    WAIT_FOR_READING_S,
    as_model,
    is_worse,
    latest_due,
    onset_ms,
)
from village_apps.phrases import Phrase

if TYPE_CHECKING:
    import sqlite3

    from kit.store.database import Database
    from village_apps.app import AppContext
    from village_apps.frost.forecaster import Forecast, SiteForecaster

PROBLEM_FACT = "problem/frost"
LOOK_EVERY_S = 60.0
"""Kit seconds between two looks at the clock and the store."""

SHORTEST_WAIT_S = 0.02
"""Real seconds; however fast the clock runs, the store is left alone for this long."""

AT_ONCE_MS = 5 * 86_400_000
"""So much of the past is read at once: a year of minutes would take 160 megabytes."""

FRESH_ENOUGH_S = 3600.0
"""How old a temperature may be to give the all-clear."""

RECORD_LIFETIME_S = 36 * 3600
"""A forecast of a night that is over is of no use to the city."""

LOG = logging.getLogger("frost")


@dataclass
class _Learned:
    """The forecaster of one device and how far it has read."""

    device: str
    forecaster: SiteForecaster
    since_ms: int
    read_until_ms: int
    temperatures: int


class FrostService:
    """A thread of the collect process.

    Args:
        context: the kit; `settings.unit` says where it is, `settings.frost` what counts as frost.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        unit, frost = context.settings.unit, context.settings.frost
        self._place = Place(
            latitude=unit.latitude, longitude=unit.longitude, elevation_m=unit.elevation_m, timezone=unit.timezone
        )
        self._rule = Rule(threshold_c=frost.threshold_c, probability=frost.warn_probability)
        self._learned: _Learned | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        clock = self._context.clock
        with self._context.open_database() as database:
            alerts = Alerts(
                database,
                clock,
                sender=alerting.sender(self._context.unit),
                area=alerting.area(self._context.settings.unit),
            )
            seen: int | None = None
            looked_s = -math.inf
            while not stop.is_set():
                version, now_s = database.changed_elsewhere(), clock.monotonic()
                # a new reading can end a silence or a warning; otherwise only the passing of time matters
                if version != seen or now_s - looked_s >= LOOK_EVERY_S:
                    seen, looked_s = version, now_s
                    self.look(database, alerts)
                stop.wait(max(SHORTEST_WAIT_S, min(clock.real(LOOK_EVERY_S), 5.0)))

    def look(self, database: Database, alerts: Alerts) -> None:
        """Do what is due now. Calling it again changes nothing."""
        now_s = self._context.clock.now()
        try:
            night = night_at(self._place, now_s)
        except NoNightError as error:
            self._say_problem(database, wording.no_night(error.day))
            return
        learned = self._read(database, now_s)
        if learned is None:
            self._say_problem(database, wording.NO_SENSOR)
            return
        silent_s = _silence_s(learned, now_s)
        if silent_s > SILENT_AFTER_S and self._has_more(database, learned, now_s):
            # what a sensor or a gateway kept while it was cut off came in all at once
            self._learned = None
            learned = self._read(database, now_s) or learned
            silent_s = _silence_s(learned, now_s)
        if silent_s > SILENT_AFTER_S:
            silent = _why_silent(database.connection, learned.device, silent_s, now_s)
            # readings dated by a guess are not used: a night that begins at the wrong hour is no night
            self._say_problem(database, silent if self._context.clock.trusted else wording.NO_TIME)
            self._end_warning(database, alerts, learned, now_s)
            return
        self._say_problem(database, None)
        due_s = latest_due(night, now_s)
        if due_s is not None:
            said = latest_slot(database.connection, night.date.isoformat())
            if said is None or said < int(due_s * 1000):
                self._issue(database, alerts, slot_ms=int(due_s * 1000))
        self._end_warning(database, alerts, learned, now_s)

    def _read(self, database: Database, now_s: float) -> _Learned | None:
        """Bring what was learned up to date with the store; begin anew when readings have come in late."""
        connection, until_ms = database.connection, int(now_s * 1000) + 1
        device = choose_device(connection, self._context.settings.frost.device)
        if device is None:
            return None
        if self._learned is None or self._learned.device != device:
            self._learned = self._begin(device, until_ms)
        learned = self._learned
        latest_s = -math.inf
        for since_ms in range(learned.read_until_ms, until_ms, AT_ONCE_MS):
            upto_ms = min(since_ms + AT_ONCE_MS, until_ms)
            fresh = list(observations(connection, device, since_ms=since_ms, until_ms=upto_ms))
            if fresh:
                latest_s = fresh[-1].at_s
                learned.forecaster.advance(fresh, until_s=latest_s)
                learned.temperatures += sum(1 for one in fresh if one.temperature_c is not None)
        # an hour is learned from only when its own reading has had time to come in
        learned.forecaster.advance((), until_s=max(latest_s, now_s - WAIT_FOR_READING_S))
        learned.read_until_ms = until_ms
        return learned

    def _begin(self, device: str, until_ms: int) -> _Learned:
        # its numbers take a megabyte or two: a unit without a thermometer goes without
        from village_apps.frost.forecaster import REMEMBER_S, SiteForecaster
        from village_apps.frost.prior import load_prior

        since_ms = until_ms - HISTORY_MS
        forecaster = SiteForecaster(
            self._place, load_prior(), threshold_c=self._rule.threshold_c, remember_s=REMEMBER_S
        )
        return _Learned(device, forecaster, since_ms, since_ms, 0)

    def _has_more(self, database: Database, learned: _Learned, now_s: float) -> bool:
        """Whether the store holds a later temperature than was read."""
        known = learned.forecaster.series.temperature.last(now_s, within_s=math.inf)
        known_ms = int(known[0] * 1000) if known else -1
        series = series_of(learned.device, "temperature")
        return any(
            (span.device, span.quantity) == series and known_ms < span.last_ms <= now_s * 1000
            for span in spans(database.connection, "temperature", labelled=True)
        )

    def _begin_anew_if_late(self, database: Database, now_s: float) -> _Learned:
        learned = self._learned
        assert learned is not None
        stored = count_temperatures(
            database.connection, learned.device, since_ms=learned.since_ms, until_ms=learned.read_until_ms
        )
        if stored == learned.temperatures:
            return learned
        LOG.info("%d readings of %s came in late; learning anew", stored - learned.temperatures, learned.device)
        self._learned = None
        found = self._read(database, now_s)
        assert found is not None
        return found

    def _issue(self, database: Database, alerts: Alerts, *, slot_ms: int) -> None:
        now_s = self._context.clock.now()
        learned = self._begin_anew_if_late(database, now_s)
        forecast = learned.forecaster.forecast_at(now_s)
        if forecast is None:
            return
        onset = onset_ms(forecast)
        with database.atomic() as connection:
            warning = find_warning(connection, forecast.night.date.isoformat())
            stands = warning is not None and warning.over_ms is None
            raising = warning is None and should_warn(forecast, self._rule)
            told = as_model(forecast, device=learned.device, warning=stands or raising)
            if raising:
                self._raise(connection, alerts, told, onset)
            elif warning is not None and stands and is_worse(warning, told, onset):
                self._update(connection, alerts, warning, told, onset)
            self._keep(connection, told, forecast, slot_ms=slot_ms)
        LOG.info(
            "%s: minimum %.1f °C (%.1f to %.1f), chance %.2f%s",
            told.night,
            told.tmin_c,
            told.tmin_p10_c,
            told.tmin_p90_c,
            told.p_frost,
            ", warning raised" if raising else "",
        )

    def _keep(self, connection: sqlite3.Connection, told: NightForecast, forecast: Forecast, *, slot_ms: int) -> None:
        descent = tuple((int(at * 1000), round(part, 3)) for at, part in forecast.descent)
        keep_forecast(connection, told, slot_ms=slot_ms, descent=descent)
        put_fact(connection, FROST_FACT, told.as_fact(), at_ms=told.issued_ms)
        write_record(
            connection,
            kind="forecast",
            priority=Priority.SUMMARY,
            body=record_body(told),
            created_ms=told.issued_ms,
            lifetime_s=RECORD_LIFETIME_S,
        )

    def _raise(self, connection: sqlite3.Connection, alerts: Alerts, told: NightForecast, onset: int | None) -> None:
        alert = alerting.make_alert(
            told, unit=self._context.unit, settings=self._context.settings.unit, place=self._place, onset=onset
        )
        alerts.raise_alert(alert)
        keep_warning(
            connection,
            FrostWarning(
                night=told.night,
                identifier=alert.identifier,
                latest=alert.identifier,
                raised_ms=told.issued_ms,
                told_tmin_c=told.tmin_c,
                told_onset_ms=onset,
                updates=0,
                sunrise_ms=told.sunrise_ms,
                expires_ms=alert.expires_ms,
                over_ms=None,
            ),
        )

    def _update(
        self,
        connection: sqlite3.Connection,
        alerts: Alerts,
        warning: FrostWarning,
        told: NightForecast,
        onset: int | None,
    ) -> None:
        before = alerts.get(warning.latest).alert
        alert = alerting.make_update(
            alerting.make_alert(
                told, unit=self._context.unit, settings=self._context.settings.unit, place=self._place, onset=onset
            ),
            (*before.references, before.reference),
            number=warning.updates + 1,
        )
        alerts.update(alert)
        keep_warning(
            connection,
            replace(
                warning,
                latest=alert.identifier,
                told_tmin_c=told.tmin_c,
                told_onset_ms=onset,
                updates=warning.updates + 1,
            ),
        )

    def _end_warning(self, database: Database, alerts: Alerts, learned: _Learned, now_s: float) -> None:
        """Give the all-clear after sunrise when the air is above the threshold again; let an old warning lapse."""
        warning = standing_warning(database.connection)
        now_ms = int(now_s * 1000)
        if warning is None or now_ms < warning.sunrise_ms:
            return
        air = learned.forecaster.series.temperature
        latest = air.last(now_s, within_s=FRESH_ENOUGH_S)
        warm = latest is not None and latest[0] * 1000 >= warning.sunrise_ms and is_over(latest[1], self._rule)
        if not warm and now_ms < warning.sunrise_ms + EXPIRES_AFTER_SUNRISE_MS:
            return
        with database.atomic() as connection:
            if warm:
                lowest = air.least(warning.raised_ms / 1000, now_s)
                alerts.all_clear(
                    warning.latest,
                    infos=alerting.all_clear_infos(self._context.settings.unit, lowest_c=lowest),
                    parameters={"tmin_observed_c": lowest},
                )
            keep_warning(connection, replace(warning, over_ms=now_ms))
            self._withdraw_from_fact(connection, warning, now_ms)
        LOG.info("%s: %s", warning.night, "all-clear" if warm else "the warning has lapsed without an all-clear")

    def _withdraw_from_fact(self, connection: sqlite3.Connection, warning: FrostWarning, now_ms: int) -> None:
        found = get_fact(connection, FROST_FACT)
        if found is not None and found[1].get("night") == warning.night:
            put_fact(connection, FROST_FACT, {**found[1], "warning": False}, at_ms=now_ms)

    def _say_problem(self, database: Database, problem: Phrase | None) -> None:
        """Put or take back the fact that says why there is no forecast; writes only when that has changed."""
        found = get_fact(database.connection, PROBLEM_FACT)
        value = {} if problem is None else {"msgid": problem.msgid, "values": dict(problem.values)}
        if problem is not None:
            value["sentence"] = problem.msgid % dict(problem.values)
        if (found[1] if found else {}) == value:
            return
        with database.atomic() as connection:
            put_fact(connection, PROBLEM_FACT, value, at_ms=int(self._context.clock.now() * 1000))


def _why_silent(connection: sqlite3.Connection, device: str, silent_s: float, now_s: float) -> Phrase:
    if _speaks_nonsense(connection, device, now_s):
        return wording.unusable_sensor(device)
    if math.isinf(silent_s):  # its readings have no time yet, or only values that are left out
        return wording.nothing_usable(device)
    return wording.silent_sensor(device, hours=int(silent_s / 3600))


def _speaks_nonsense(connection: sqlite3.Connection, device: str, now_s: float) -> bool:
    """Whether the newest temperature is fresh and left out for its value (not for a time that is not known yet)."""
    device, temperature = series_of(device, "temperature")
    return any(
        reading.quantity == temperature
        and abs(now_s - reading.time_ms / 1000) <= SILENT_AFTER_S
        and reading.quality & int(NOT_USED & UNFIT & ~Quality.TIME_DOUBTFUL)
        for reading in latest_readings(connection, device=device)
    )


def _silence_s(learned: _Learned, now_s: float) -> float:
    latest = learned.forecaster.series.temperature.last(now_s, within_s=math.inf)
    return now_s - latest[0] if latest else math.inf


def record_body(told: NightForecast) -> bytes:
    """The forecast as a compact CBOR map for the thin link: hundredths of a degree and per cent as whole numbers."""
    import cbor2

    return cbor2.dumps(
        {
            "n": told.night,
            "d": told.device,
            "t": [round(value * 100) for value in (told.tmin_c, told.tmin_p10_c, told.tmin_p90_c)],
            "p": round(told.p_frost * 100),
            "w": told.warning,
        }
    )
