"""Pages below `/messages/`: what came, a sheet to write on, and one private page for each message sent."""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote, unquote

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for

from kit.health.addressees import Directory, read_directory
from kit.model.letters import LONGEST_NAME, LONGEST_TEXT, LetterError, make_letter, tidy_name
from village_apps.app import AppContext
from village_apps.messages.letters import SentLetter, TooManyWaiting, inbox, say_read, send, sent
from village_apps.messages.steps import Step, ending, steps
from village_apps.phrases import Phrase, phrase
from village_apps.web.reader import context, database, now_ms

COOKIE = "letters"
"""The private names of what this phone has sent."""

REMEMBERED = 20
COOKIE_AGE_S = 90 * 24 * 3600
NAME_COOKIE = "name"

SHOWN = 30
DAY_S = 24 * 3600
LIFETIMES = {"1": DAY_S, "7": 7 * DAY_S, "30": 30 * DAY_S}
"""Days that a message is worth carrying, as the sheet offers them."""

CITY = "city"
"""On the sheet, in place of a unit id."""

MOST_CHOICES = 8
"""More villages than a phone's screen or two are offered in a list that opens."""

UNPROCESSABLE = 422
TOO_MANY = 429

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,32}")


def make_blueprint(_context: AppContext) -> Blueprint:
    """The routes of the app."""
    routes = Blueprint("messages", __name__, url_prefix="/messages", template_folder="templates")
    routes.add_url_rule("/", "all", _all)
    routes.add_url_rule("/", "send", _send, methods=["POST"])
    routes.add_url_rule("/sent/<token>", "sent", _sent)
    routes.add_url_rule("/<int:number>/read", "read", _read, methods=["POST"])
    routes.add_url_rule("/<int:number>/read", "read_again", _read_again)
    return routes


def _all() -> Response:
    """Also with ?to=UNIT, for an answer to that village."""
    return _sheet(to=request.args.get("to", CITY))


def _sheet(
    *,
    text: str = "",
    name: str = "",
    days: str = "7",
    token: str = "",
    to: str = CITY,
    problem: Phrase | None = None,
    code: int = 200,
) -> Response:
    """The page; what was typed is given back with the sentence that says what is wrong."""
    connection, directory = database().connection, _directory()
    page = render_template(
        "messages/all.html",
        received=inbox(connection, limit=SHOWN),
        mine=[_with_steps(letter) for letter in sent(connection, _tokens())],
        directory=directory,
        to=to if directory.label(to) else CITY,
        city_value=CITY,
        as_list=len(directory.others) > MOST_CHOICES,
        now_ms=now_ms(),
        text=text,
        name=name or _name(),
        days=days,
        token=token or secrets.token_urlsafe(16),
        problem=problem,
        longest_text=LONGEST_TEXT,
        longest_name=LONGEST_NAME,
    )
    response = make_response(page, code)
    # a sheet has a name of its own, and what this phone has sent is nobody else's
    response.headers["Cache-Control"] = "no-store"
    return response


def _send() -> Response:
    text, name = request.form.get("text", ""), request.form.get("name", "")
    days, token, to = request.form.get("days", "7"), request.form.get("token", ""), request.form.get("to", CITY)
    typed = {"text": text, "name": name, "days": days, "token": token, "to": to}
    if not _TOKEN.fullmatch(token):
        return _sheet(
            **{**typed, "token": ""}, problem=phrase("The sheet was damaged. Please send it again."), code=UNPROCESSABLE
        )
    called = "" if to == CITY else _directory().label(to)
    try:
        letter = make_letter(text, name)
        if to != CITY and not called:
            problem = phrase("That village is not in the city's list any more. Please choose again to whom you write.")
            return _sheet(**typed, problem=problem, code=UNPROCESSABLE)
        with database().atomic() as connection:
            send(
                connection,
                letter,
                token=token,
                now_ms=now_ms(),
                lifetime_s=LIFETIMES.get(days, LIFETIMES["7"]),
                to=to if called else "",
                to_name=called,
            )
    except LetterError:
        return _sheet(**typed, problem=_what_is_wrong(text), code=UNPROCESSABLE)
    except TooManyWaiting as error:
        problem = phrase(
            "%(count)s messages wait for the radio already. Yours was not taken. Please try again later.",
            count=error.waiting,
        )
        return _sheet(**typed, problem=problem, code=TOO_MANY)
    return _remember(letter.author, token)


def _remember(author: str, token: str) -> Response:
    """On to the message's own page, whose address this phone keeps."""
    response = make_response(redirect(url_for("messages.sent", token=token), 303))
    remembered = ".".join([token, *(each for each in _tokens() if each != token)][:REMEMBERED])
    response.set_cookie(COOKIE, remembered, max_age=COOKIE_AGE_S, path="/messages", samesite="Lax", httponly=True)
    if author:
        response.set_cookie(NAME_COOKIE, quote(author), max_age=365 * DAY_S, samesite="Lax", httponly=True)
    return response


def _what_is_wrong(text: str) -> Phrase:
    if not text.strip():
        return phrase("Please write something.")
    return phrase("That is too long for the radio: at most %(count)s letters.", count=LONGEST_TEXT)


def _sent(token: str) -> Response:
    found = sent(database().connection, [token]) if _TOKEN.fullmatch(token) else []
    if not found:
        abort(404)
    letter, told, end = _with_steps(found[0])
    page = render_template("messages/sent.html", letter=letter, told=told, end=end)
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _read(number: int) -> Response:
    person = tidy_name(request.form.get("name", ""))
    with database().atomic() as connection:
        if not say_read(connection, number, person=person, now_ms=now_ms()):
            abort(404)
    response = make_response(redirect(f"{url_for('messages.all')}#letter-{number}", 303))
    if person:
        response.set_cookie(NAME_COOKIE, quote(person), max_age=365 * DAY_S, samesite="Lax", httponly=True)
    return response


def _read_again(number: int) -> Response:
    """A phone that reloads the answer to a form asks for this address."""
    return make_response(redirect(f"{url_for('messages.all')}#letter-{number}", 303))


def _with_steps(letter: SentLetter) -> tuple[SentLetter, list[Step], Phrase | None]:
    end = ending(letter, now_ms())
    told = steps(letter)
    return letter, [each for each in told if each.done] if end else told, end


def _directory() -> Directory:
    return read_directory(database().connection, context().home, unit=context().unit)


def _tokens() -> list[str]:
    return [each for each in request.cookies.get(COOKIE, "").split(".") if _TOKEN.fullmatch(each)][:REMEMBERED]


def _name() -> str:
    return tidy_name(unquote(request.cookies.get(NAME_COOKIE, "")))
