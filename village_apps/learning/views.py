"""Pages below `/learn/`: the lessons, a lesson, its quiz, the result.

A finished quiz is stored once and answered with a redirect to its result, whose address holds the answers: a reload
sends nothing again, the way back leads to the filled-in sheet, and nothing about anybody is kept to show it. Sheets and
results name the version of the lesson: one that was replaced meanwhile is not marked by other questions.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request, url_for
from markupsafe import Markup

from kit.health.content_view import RECEIVED_FACT
from village_apps.app import AppContext
from village_apps.learning.lesson import Lesson, chosen_answers, mark
from village_apps.learning.library import KIND, Shelf, Shelved, library
from village_apps.learning.results import store_attempt
from village_apps.web.opened import note_opened
from village_apps.web.pages import cached_page
from village_apps.web.reader import context, database, frame, language, now_ms

UNPROCESSABLE, CONFLICT = 422, 409
SHEET_CHARACTERS = 32


def make_blueprint(context: AppContext) -> Blueprint:
    """The routes of the app."""
    del context
    routes = Blueprint("learning", __name__, url_prefix="/learn", template_folder="templates")
    routes.add_url_rule("/", "lessons", _lessons)
    routes.add_url_rule("/<key>/", "lesson", _lesson)
    routes.add_url_rule("/<key>/quiz", "quiz", _quiz)
    routes.add_url_rule("/<key>/quiz", "hand_in", _hand_in, methods=["POST"])
    routes.add_url_rule("/<key>/result", "result", _result)
    return routes


def _shelf() -> Shelf:
    """The lessons there are; looked for once per request."""
    if "shelf" not in g:
        g.shelf = library(context().home.content / KIND).shelf(database().connection)
    found: Shelf = g.shelf
    return found


def _find(key: str) -> Shelved:
    shelved = _shelf().lessons.get(key)
    if shelved is None:
        abort(404)
    return shelved


def say_word(lesson: Lesson, word: str, wanted: str) -> str:
    """A lesson's word in that language: as it says it itself, else as the catalogues do, else as it is written."""
    own = lesson.own_word(word, wanted)
    return own if own is not None else frame().phrases.translate(wanted, word)


def _render(template: str, *, lesson: Lesson, **more: object) -> str:
    return render_template(template, lesson=lesson, word=lambda word: say_word(lesson, word, language()), **more)


@cached_page(RECEIVED_FACT)
def _lessons() -> str:
    shelf = _shelf()
    return render_template(
        "learning/lessons.html",
        shelf=shelf.lessons.values(),
        word=lambda lesson, word: say_word(lesson, word, language()),
        now_ms=now_ms(),
    )


def _lesson(key: str) -> Response:
    page = _lesson_page(key)
    note_opened(KIND, key, lambda: _find(key).received)
    return page


@cached_page(RECEIVED_FACT)
def _lesson_page(key: str) -> str:
    shelved = _find(key)
    lesson = shelved.lesson
    return _render(
        "learning/lesson.html",
        lesson=lesson,
        shelved=shelved,
        figure=lambda name: Markup(lesson.figures[name]),  # noqa: S704 - cleaned when it was read
        now_ms=now_ms(),
    )


def _quiz(key: str) -> Response:
    # not cached: every sheet that is handed out has its own name, so that handing it in twice counts once
    return _sheet(_find(key).lesson, secrets.token_hex(8), ())


def _sheet(lesson: Lesson, sheet: str, chosen: tuple[int | None, ...], *, replaced: bool = False) -> Response:
    missing = [number for number, place in enumerate(chosen, 1) if place is None]
    page = _render("learning/quiz.html", lesson=lesson, sheet=sheet, chosen=chosen, missing=missing, replaced=replaced)
    return make_response(page, UNPROCESSABLE if missing else CONFLICT if replaced else 200)


def _hand_in(key: str) -> Response:
    lesson = _find(key).lesson
    sheet = request.form.get("sheet", "")[:SHEET_CHARACTERS] or secrets.token_hex(8)
    if request.form.get("version", str(lesson.version)) != str(lesson.version):
        return _sheet(lesson, secrets.token_hex(8), (), replaced=True)
    chosen = chosen_answers(lesson, request.form)
    complete = [place for place in chosen if place is not None]
    if len(complete) < len(chosen):
        return _sheet(lesson, sheet, chosen)
    with database().atomic() as connection:
        store_attempt(connection, lesson, complete, sheet=sheet, at_ms=now_ms())
    answers = "-".join(str(place) for place in complete)
    return make_response(redirect(url_for("learning.result", key=key, version=lesson.version, answers=answers), 303))


def _result(key: str) -> Response:
    lesson = _find(key).lesson
    if request.args.get("version", str(lesson.version)) != str(lesson.version):
        return make_response(redirect(url_for("learning.lesson", key=key), 303))
    return _marked(key)


@cached_page(RECEIVED_FACT, arguments=("answers", "version"))
def _marked(key: str) -> str:
    lesson = _find(key).lesson
    sent = request.args.get("answers", "").split("-")
    form = {question.key: place for question, place in zip(lesson.questions, sent, strict=False)}
    chosen = chosen_answers(lesson, form)
    if None in chosen:
        abort(404)
    marks = mark(lesson, chosen)
    return _render("learning/result.html", lesson=lesson, chosen=chosen, marks=marks, score=sum(marks))
