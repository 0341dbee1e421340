"""The first page `/`, and `/alerts/<identifier>/seen`."""

from __future__ import annotations

import logging
from urllib.parse import quote, unquote

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for

from kit.health.content_view import RECEIVED_FACT
from kit.health.damage_view import MENDING_FACT
from kit.store.facts import get_fact
from village_apps.app import AppContext, Card
from village_apps.portal.files import add_file_routes, files_card
from village_apps.portal.measured import measured_now
from village_apps.portal.names import LONGEST_NAME, tidy_name
from village_apps.portal.technician import add_technician_routes
from village_apps.portal.time_offer import add_time_routes, asks_phones, time_offer
from village_apps.web.pages import cached_page
from village_apps.web.reader import context, database, frame, language, now_ms
from village_apps.web.safety import PHONE_TIME_SCRIPT, policy_with
from village_apps.web.warnings import all_clears, confirm_warning, standing_warnings

LOG = logging.getLogger("web")

NAME_COOKIE = "name"
NAME_COOKIE_AGE_S = 365 * 24 * 3600
UNPROCESSABLE = 422
NOW_AGE_S = 15.0
"""How far the page of the latest values may lag behind, in kit time; not rendered anew for every reading of a burst."""


def make_blueprint(context: AppContext) -> Blueprint:
    """The routes of the app."""
    routes = Blueprint("portal", __name__, template_folder="templates")
    routes.add_url_rule("/", "first", _first_page)
    routes.add_url_rule("/now/", "now", _now)
    routes.add_url_rule("/alerts/<identifier>/seen", "seen", _seen, methods=["POST"])
    routes.add_url_rule("/alerts/<identifier>/seen", "seen_again", _seen_again)
    add_technician_routes(routes, context)
    add_time_routes(routes, context)
    add_file_routes(routes)
    return routes


def _subjects_of_cards() -> tuple[str, ...]:
    return (
        "clock",
        MENDING_FACT,
        RECEIVED_FACT,
        *sorted({subject for app in frame().apps for subject in app.card_subjects}),
    )


def _first_page() -> Response:
    response = _first()
    if asks_phones(context()):
        response.headers["Content-Security-Policy"] = policy_with(PHONE_TIME_SCRIPT)
    return response


@cached_page(of=_subjects_of_cards, arguments=("seen", "time"), cookies=(NAME_COOKIE,))
def _first() -> str:
    return _render(seen=request.args.get("seen", ""), name=_name_kept())


def _render(*, seen: str = "", name: str = "", nameless: str = "") -> str:
    """The first page.

    Args:
        seen: the warning this reader has just confirmed.
        name: what stands in the name field.
        nameless: the warning for which no name was given; its field says so.
    """
    return render_template(
        "portal/first.html",
        warnings=standing_warnings(),
        all_clears=all_clears(),
        cards=_cards(),
        seen=seen,
        name=name,
        nameless=nameless,
        longest_name=LONGEST_NAME,
        mending=get_fact(database().connection, MENDING_FACT) is not None,
        offer=time_offer(told=request.args.get("time", "")),
    )


@cached_page("devices", max_age_s=NOW_AGE_S)
def _now() -> str:
    places = measured_now(database().connection, now_ms=now_ms())
    return render_template("portal/now.html", places=places, certain=context().clock.trusted)


def _cards() -> list[Card]:
    """The apps' cards, the most urgent first; an app that cannot make its card is left out."""
    cards: list[Card] = []
    for app in frame().apps:
        if app.card is None:
            continue
        try:
            card = app.card(context(), language())
        except Exception:
            LOG.exception("the card of app '%s' cannot be shown", app.name)
            continue
        if card is not None:
            cards.append(card)
    files = files_card()
    return sorted([*cards, files] if files else cards, key=lambda card: card.urgency)


def _seen(identifier: str) -> Response:
    name = tidy_name(request.form.get("name", ""))
    if name is None:
        return make_response(_render(nameless=identifier), UNPROCESSABLE)
    if not confirm_warning(identifier, person=name):
        abort(404)
    response = make_response(redirect(url_for("portal.first", seen=identifier), 303))
    # cookies carry ASCII only (RFC 6265, 4.1.1)
    response.set_cookie(NAME_COOKIE, quote(name), max_age=NAME_COOKIE_AGE_S, samesite="Lax", httponly=True)
    return response


def _seen_again(identifier: str) -> Response:
    """A phone that reloads the answer to a form asks for this address; the first page is where it wants to be."""
    del identifier
    return make_response(redirect(url_for("portal.first"), 303))


def _name_kept() -> str:
    return tidy_name(unquote(request.cookies.get(NAME_COOKIE, ""))) or ""
