"""New devices on the technician's page: the join code with its picture, who waits, and the form that lets one in."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.collect.dialects import dialects
from kit.collect.joining import accept, suggest_name
from kit.errors import UsageError
from kit.health.joining_view import JOIN_USER, broker_address, join_address, waiting_rows
from kit.model.join_code import shown
from kit.model.places import Place, PlaceError
from kit.store.devices import list_devices
from kit.store.joining import code_shown
from village_apps.app import AppContext
from village_apps.phrases import phrase

PLACES = (phrase("field"), phrase("river bank"), phrase("room"))
"""Offered where a place is asked for; any other words will do."""

LONGEST_FIELD = 80


@dataclass(frozen=True)
class Code:
    """The join code as it is shown.

    Attributes:
        picture: SVG, to stand in the page.
    """

    text: str
    until_ms: int
    host: str
    port: int
    user: str
    picture: str


def joining_state(context: AppContext, connection: sqlite3.Connection, *, now_ms: int) -> dict[str, Any]:
    """What the page shows of new devices."""
    taken = [device.name for device in list_devices(connection)]
    rows = waiting_rows(connection, now_ms=now_ms)
    return {
        "code": _code(context, connection, now_ms=now_ms),
        "waiting": [row | {"suggested": suggest_name(row["topic"], row["client_id"], taken)} for row in rows],
        "kinds": [(dialect.name, dialect.guide.title) for dialect in dialects().values()],
        "places": PLACES,
        "open_listen": context.settings.broker.open_listen,
    }


def let_in(connection: sqlite3.Connection, form: Mapping[str, str], *, now_ms: int) -> None:
    """Accept the device that the form names, inside the caller's transaction.

    Raises:
        KitError: it cannot be; the sentence says why.
    """
    field = {name: value[:LONGEST_FIELD].strip() for name, value in form.items()}
    try:
        place = Place.of(field.get("place", ""), _degrees(field, "latitude"), _degrees(field, "longitude"))
    except PlaceError as error:
        raise UsageError(str(error)) from None
    number, name, kind = number_of(form), field.get("name", ""), field.get("kind", "")
    accept(connection, number, name, now_ms=now_ms, kind=kind, place=place)


def number_of(form: Mapping[str, str]) -> int:
    """Of the waiting device that a form is about; 0 if it names none."""
    told = form.get("number", "")
    return int(told) if told.isdecimal() and len(told) < 10 else 0  # noqa: PLR2004 - no kit has a billion devices


def _degrees(field: Mapping[str, str], name: str) -> float | None:
    told = field.get(name, "").replace(",", ".")
    if not told:
        return None
    try:
        return float(told)
    except ValueError:
        raise PlaceError(f"'{told}' is no {name}; write degrees like -0.37") from None


def _code(context: AppContext, connection: sqlite3.Connection, *, now_ms: int) -> Code | None:
    found = code_shown(connection, now_ms=now_ms)
    if found is None:
        return None
    code, until_ms = found
    host, port = broker_address(context.home, context.settings)
    import segno

    picture = segno.make(join_address(code, host, port), error="m", micro=False)
    drawn = picture.svg_inline(omitsize=True, dark="#000", light="#fff", border=4)
    return Code(shown(code), until_ms, host, port, JOIN_USER, drawn)
