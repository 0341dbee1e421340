"""`/api/v1/series…`: everything measured, open to any program on the kit's Wi-Fi, with its data dictionary.

Rows are sent as they are read. They are read a page at a time, each in a short look at the store, so that a slow phone
with a large download neither fills the memory nor keeps the store from tidying its log.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, jsonify, request

from kit.health.series_view import csv_lines, flags_json, retention_json, row_json, series_json
from kit.health.times import rfc3339
from kit.health.words import zone_of
from kit.model.local_days import LocalDays
from kit.store.database import Database
from kit.store.rollup_rows import RESOLUTIONS, Bucket, Row, SeriesRow, find_rows, list_series, stand_ins
from village_apps.web.pages import accepts_gzip
from village_apps.web.reader import context, database

ROWS_AT_ONCE = 1_000
BAD = 400
LICENCE = "The village's own data; whoever uses it outside names the village and asks it first."


def add_routes(routes: Blueprint) -> None:
    """Add the addresses to the machine's blueprint."""
    routes.add_url_rule("/api/v1/series", "api_series", _dictionary)
    routes.add_url_rule("/api/v1/series/<int:number>", "api_series_rows", _by_number)
    routes.add_url_rule("/api/v1/series/<path:device>/<quantity>", "api_series_named", _by_name)


def village_days() -> LocalDays:
    """Of the village's time zone."""
    return LocalDays(zone_of(context().settings.unit.timezone))


def _dictionary() -> Response:
    connection = database().connection
    kept = context().settings.retention
    return jsonify(
        {
            "series": [series_json(connection, series) for series in list_series(connection)],
            "flags": flags_json(),
            "retention": retention_json(connection, raw_days=kept.raw_days, hourly_days=kept.hourly_days),
            "licence": LICENCE,
        }
    )


def _by_number(number: int) -> Response:
    found = list_series(database().connection, number=number)
    return _rows(found[0]) if found else abort(404)


def _by_name(device: str, quantity: str) -> Response:
    connection = database().connection
    found = list_series(connection, device=device, quantity=quantity)
    if not found:
        abort(404)
    newest = dict(connection.execute("SELECT series, time_ms FROM latest_readings").fetchall())
    return _rows(max(found, key=lambda series: newest.get(series.id, 0)))


def _rows(series: SeriesRow) -> Response:
    resolution, form = request.args.get("resolution", "raw"), request.args.get("format", "json")
    if resolution not in RESOLUTIONS:
        return _problem(f"resolution is one of {', '.join(RESOLUTIONS)}")
    if form not in {"json", "csv"}:
        return _problem("format is json or csv")
    try:
        since_ms, until_ms = (_time(request.args.get(name)) for name in ("since", "until"))
    except ValueError:
        return _problem("since and until are times like 2016-04-12T03:00:00Z")
    store, days = database(), village_days()
    gone = stand_ins(store.connection, resolution, series=series, since_ms=since_ms)
    rows = read_rows(store, series, resolution, days=days, since_ms=since_ms, until_ms=until_ms)
    if form == "csv":
        lines = csv_lines(rows, with_buckets=resolution != "raw" or bool(gone))
        response = _streamed(lines, "text/csv; charset=utf-8")
        name = "".join(letter if letter.isalnum() else "-" for letter in f"{series.device}-{series.quantity}")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}-{resolution}.csv"'
        return response
    head: dict[str, object] = {
        "series": series_json(store.connection, series),
        "resolution": resolution,
        "stand_ins": {coarser: rfc3339(until) for coarser, until in gone.items()},
    }
    return _streamed(_json_lines(head, rows), "application/json")


def read_rows(
    store: Database,
    series: SeriesRow,
    resolution: str,
    *,
    days: LocalDays,
    since_ms: int | None,
    until_ms: int | None,
) -> Iterator[Row]:
    """The rows of one series, looked up a page at a time."""
    while True:
        found = find_rows(store.connection, resolution, days=days, series=series, since_ms=since_ms, until_ms=until_ms)
        page = list(itertools.islice(found, ROWS_AT_ONCE))
        yield from page
        if len(page) < ROWS_AT_ONCE:
            return
        last = page[-1]
        since_ms = last.end_ms if isinstance(last, Bucket) else last.time_ms + 1


def _json_lines(head: dict[str, object], rows: Iterable[Row]) -> Iterator[str]:
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "rows": ['
    separator = "\n"
    for row in rows:
        yield separator + json.dumps(row_json(row), ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def _streamed(lines: Iterable[str], content_type: str) -> Response:
    packed = accepts_gzip()
    body = _packed(lines) if packed else (line.encode() for line in lines)
    # passed through as it is: the frame would hold it whole to compress and name it
    response = Response(body, content_type=content_type, direct_passthrough=True)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _packed(lines: Iterable[str]) -> Iterator[bytes]:
    pack: Callable[[bytes], bytes]
    packer = zlib.compressobj(5, zlib.DEFLATED, 31)  # 31: with the header and end of gzip
    pack = packer.compress
    for line in lines:
        some = pack(line.encode())
        if some:
            yield some
    yield packer.flush()


def _time(text: str | None) -> int | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _problem(sentence: str) -> Response:
    response = jsonify({"problem": sentence})
    response.status_code = BAD
    return response
