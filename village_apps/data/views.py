"""The pages `/data/`: choose a device and a quantity, see its last week, take the figures away."""

from __future__ import annotations

from itertools import groupby

from flask import Blueprint, Response, abort, render_template

from kit.model.local_days import DAY_MS, date_of
from kit.store.readings import latest_readings
from kit.store.rollup_rows import Bucket, SeriesRow, find_rows, list_series
from village_apps.app import AppContext
from village_apps.data.chart import Chart, Hour, draw
from village_apps.data.words import figure, meaning, plain_name, plain_unit, shown
from village_apps.web.pages import cached_page
from village_apps.web.reader import database, frame, now_ms, say
from village_apps.web.series_api import village_days

SHOWN_DAYS = 7
SUBJECT = "readings"


def make_blueprint(context: AppContext) -> Blueprint:
    """The routes of the app."""
    del context
    routes = Blueprint("data", __name__, url_prefix="/data", template_folder="templates")
    routes.add_url_rule("/", "all", _all)
    routes.add_url_rule("/<int:number>/", "one", _one)
    return routes


@cached_page(SUBJECT)
def _all() -> str:
    latest = {(row.device, row.quantity, row.unit): row for row in latest_readings(database().connection)}
    found = [(series, latest.get(series[1:])) for series in list_series(database().connection)]
    groups = [(device, list(rows)) for device, rows in groupby(found, key=lambda pair: pair[0].device)]
    return render_template("data/all.html", groups=groups, plain=_name, shown=shown)


def _one(number: int) -> Response:
    if not list_series(database().connection, number=number):
        abort(404)
    return _series_page(number)


@cached_page(SUBJECT)
def _series_page(number: int) -> str:
    (series,) = list_series(database().connection, number=number)
    today = village_days().day(now_ms())
    since_ms = village_days().start_ms(today - SHOWN_DAYS + 1)
    days = _buckets(series, "day", since_ms)
    return render_template(
        "data/one.html",
        series=series,
        name=_name(series.quantity),
        definition=say(meaning(series.quantity)),
        chart=_chart(series, since_ms),
        # a date stays on its line
        days=[(date_of(village_days().day(day.start_ms))[5:].replace("-", "\u2011"), day) for day in reversed(days)],
        figure=figure,
        unit=plain_unit,
    )


def _chart(series: SeriesRow, since_ms: int) -> Chart | None:
    hours = [
        Hour((hour.start_ms + hour.end_ms) / 2, hour.low, hour.mean, hour.high)
        for hour in _buckets(series, "hour", since_ms)
        if hour.low is not None and hour.mean is not None and hour.high is not None
    ]
    first = village_days().day(since_ms)
    starts = [village_days().start_ms(first + n) for n in range(SHOWN_DAYS)]
    midnights = [(float(at_ms), str(frame().moments.local(at_ms).day)) for at_ms in starts]
    return draw(hours, since_ms=since_ms, until_ms=since_ms + SHOWN_DAYS * DAY_MS, midnights=midnights)


def _buckets(series: SeriesRow, resolution: str, since_ms: int) -> list[Bucket]:
    rows = find_rows(
        database().connection,
        resolution,
        days=village_days(),
        series=series,
        since_ms=since_ms,
        # what is dated after tomorrow is a device's mistake and has no place in the drawing
        until_ms=village_days().start_ms(village_days().day(now_ms()) + 1),
    )
    return [row for row in rows if isinstance(row, Bucket)]


def _name(quantity: str) -> str:
    return plain_name(quantity, say)
