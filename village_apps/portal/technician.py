"""`/technician/`: what the unit's parts are doing, and who wants to be let in; behind the technician's password.

Session times are real seconds, not kit seconds: a person typing does not get faster under `--sim --speed 200`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kit.errors import KitError
from kit.identity import check_technician_password, set_technician_password
from kit.store.joining import current_code, turn_away
from village_apps.app import AppContext, StatusLine
from village_apps.portal import joining, technician_words
from village_apps.portal.joining import joining_state
from village_apps.portal.sign_in import LONGEST_PASSWORD, SESSION_S, SHORTEST_PASSWORD, SignIns, why_not_this_password
from village_apps.portal.time_offer import clock_words, told_time, typed_time, wait_until_considered, years_ahead
from village_apps.portal.unit_state import read_unit_state
from village_apps.web.reader import context, database, frame, now_ms
from village_apps.web.safety import PHONE_TIME_SCRIPT, policy_with

COOKIE = "technician"
FORBIDDEN = 403
TOO_MANY = 429
UNPROCESSABLE = 422


def add_technician_routes(routes: Blueprint, own: AppContext) -> None:
    """Add `/technician/…` to the portal's blueprint."""
    pages = TechnicianPages(own)
    routes.add_url_rule("/technician/", "technician", pages.show)
    routes.add_url_rule("/technician/sign-in", "sign_in", pages.sign_in, methods=["POST"])
    routes.add_url_rule("/technician/password", "change_password", pages.change_password, methods=["POST"])
    routes.add_url_rule("/technician/time", "set_time", pages.set_time, methods=["POST"])
    routes.add_url_rule("/technician/join-code", "join_code", pages.join_code, methods=["POST"])
    routes.add_url_rule("/technician/let-in", "let_in", pages.let_in, methods=["POST"])
    routes.add_url_rule("/technician/turn-away", "turn_away", pages.turn_away, methods=["POST"])
    routes.add_url_rule("/technician/sign-out", "sign_out", pages.sign_out, methods=["POST"])


class TechnicianPages:
    """The views, with the sessions they share."""

    def __init__(self, own: AppContext) -> None:
        self._context = own
        self._sign_ins = SignIns()

    def show(self) -> Response:
        """The state of the unit, or the way in."""
        token = request.cookies.get(COOKIE, "")
        if not self._sign_ins.holds(token, self._now_s()):
            return self._ask()
        if self._sign_ins.must_change(token):
            return self._ask_new_password()
        return self._page()

    def _page(self, problem: str = "", status: int = 200) -> Response:
        """The whole page; `problem` says why a new device was not let in."""
        state = read_unit_state(self._context, database().connection, _lines_of_apps())
        page = render_template(
            "portal/technician.html",
            state=state,
            words=technician_words,
            at_ms=technician_words.at_ms,
            clock=clock_words(self._context, told=request.args.get("time", "")),
            joining=joining_state(self._context, database().connection, now_ms=now_ms()),
            problem=problem,
        )
        response = _private(make_response(page, status))
        response.headers["Content-Security-Policy"] = policy_with(PHONE_TIME_SCRIPT)
        return response

    def join_code(self) -> Response:
        """Have a join code to show."""
        if not self._may_change():
            return self._ask("over", FORBIDDEN)
        with database().atomic() as connection:
            current_code(connection, now_ms=now_ms())
        return make_response(redirect(url_for("portal.technician") + "#new", 303))

    def let_in(self) -> Response:
        """Accept a waiting device under the name and place that were typed."""
        return self._change(lambda connection: joining.let_in(connection, request.form, now_ms=now_ms()))

    def turn_away(self) -> Response:
        """Turn a waiting device away."""
        return self._change(lambda connection: turn_away(connection, joining.number_of(request.form)))

    def _change(self, change: Callable[[sqlite3.Connection], None]) -> Response:
        if not self._may_change():
            return self._ask("over", FORBIDDEN)
        try:
            with database().atomic() as connection:
                change(connection)
        except KitError as error:
            return self._page(str(error), UNPROCESSABLE)
        return make_response(redirect(url_for("portal.technician") + "#new", 303))

    def _may_change(self) -> bool:
        token = request.cookies.get(COOKIE, "")
        return self._sign_ins.holds(token, self._now_s()) and not self._sign_ins.must_change(token)

    def set_time(self) -> Response:
        """Set the unit's clock from this phone, or as typed."""
        token = request.cookies.get(COOKIE, "")
        if not self._sign_ins.holds(token, self._now_s()) or self._sign_ins.must_change(token):
            return self._ask("over", FORBIDDEN)
        wall_s = typed_time(self._context)
        told = "bad"
        if wall_s is not None and years_ahead(self._context, wall_s) and not request.form.get("sure"):
            told = "ahead"
        elif wall_s is not None:
            number = told_time(self._context, source="technician", who="page", wall_s=wall_s)
            told = wait_until_considered(self._context, number, source="technician")
        return make_response(redirect(url_for("portal.technician", time=told), 303))

    def sign_in(self) -> Response:
        """Check the password."""
        address = request.remote_addr or ""
        if not self._sign_ins.may_try(address, self._now_s()):
            return self._ask("many", TOO_MANY)
        password = request.form.get("password", "")[:LONGEST_PASSWORD].strip()
        right, must_change = check_technician_password(self._context.home, password)
        if not right:
            self._sign_ins.missed(address, self._now_s())
            return self._ask("wrong", FORBIDDEN)
        token = self._sign_ins.begin(self._now_s(), must_change=must_change)
        response = make_response(redirect(url_for("portal.technician"), 303))
        response.set_cookie(COOKIE, token, max_age=int(SESSION_S), path="/technician", samesite="Strict", httponly=True)
        return response

    def change_password(self) -> Response:
        """Set a new password; every session ends, this one too."""
        if not self._sign_ins.holds(request.cookies.get(COOKIE, ""), self._now_s()):
            return self._ask("over", FORBIDDEN)
        password = request.form.get("password", "").strip()
        problem = why_not_this_password(password, request.form.get("again", "").strip())
        if problem is None and check_technician_password(self._context.home, password)[0]:
            problem = "same"
        if problem is not None:
            return self._ask_new_password(problem, UNPROCESSABLE)
        set_technician_password(self._context.home, password)
        self._sign_ins.end_all()
        return self._ask("changed")

    def sign_out(self) -> Response:
        """End every session."""
        if self._sign_ins.holds(request.cookies.get(COOKIE, ""), self._now_s()):
            self._sign_ins.end_all()
        response = make_response(redirect(url_for("portal.first"), 303))
        response.delete_cookie(COOKIE, path="/technician")
        return response

    def _ask(self, problem: str = "", status: int = 200) -> Response:
        return _private(make_response(render_template("portal/sign_in.html", problem=problem), status))

    def _ask_new_password(self, problem: str = "", status: int = 200) -> Response:
        page = render_template("portal/password.html", problem=problem, shortest=SHORTEST_PASSWORD)
        return _private(make_response(page, status))

    def _now_s(self) -> float:
        """Real seconds since boot, out of kit seconds."""
        clock = self._context.clock
        return clock.monotonic() * (clock.real(1.0) or 1.0)


def _lines_of_apps() -> list[StatusLine]:
    lines: list[StatusLine] = []
    for app in frame().apps:
        if app.status_lines is None:
            continue
        try:
            lines += app.status_lines(context())
        except Exception as error:  # noqa: BLE001 - one app's trouble is shown beside the others' lines
            lines.append(StatusLine(app.name, str(error), ok=False))
    return lines


def _private(response: Response) -> Response:
    """Keep it out of every cache: the next person at this computer may be somebody else."""
    response.headers["Cache-Control"] = "no-store"
    return response
