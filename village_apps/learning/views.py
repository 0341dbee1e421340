"""Pages below `/learn/`: the lessons, a lesson, its quiz, the result.

A finished quiz is stored once and answered with a redirect to its result, whose address holds the answers: a reload
sends nothing again, the way back leads to the filled-in sheet, and nothing about anybody is kept to show it.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from markupsafe import Markup

from village_apps.app import AppContext
from village_apps.learning.lesson import Lesson, chosen_answers, mark
from village_apps.learning.library import figure, lessons
from village_apps.learning.results import store_attempt
from village_apps.web.pages import cached_page
from village_apps.web.reader import database, now_ms

UNPROCESSABLE = 422
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


def _find(key: str) -> Lesson:
    lesson = lessons().get(key)
    if lesson is None:
        abort(404)
    return lesson


@cached_page()
def _lessons() -> str:
    return render_template("learning/lessons.html", lessons=lessons().values())


@cached_page()
def _lesson(key: str) -> str:
    lesson = _find(key)
    return render_template(
        "learning/lesson.html",
        lesson=lesson,
        figure=lambda name: Markup(figure(lesson.key, name)),  # noqa: S704 - the app's own file
    )


def _quiz(key: str) -> Response:
    # not cached: every sheet that is handed out has its own name, so that handing it in twice counts once
    return _sheet(_find(key), secrets.token_hex(8), ())


def _sheet(lesson: Lesson, sheet: str, chosen: tuple[int | None, ...]) -> Response:
    missing = [number for number, place in enumerate(chosen, 1) if place is None]
    return make_response(
        render_template("learning/quiz.html", lesson=lesson, sheet=sheet, chosen=chosen, missing=missing),
        UNPROCESSABLE if missing else 200,
    )


def _hand_in(key: str) -> Response:
    lesson = _find(key)
    sheet = request.form.get("sheet", "")[:SHEET_CHARACTERS] or secrets.token_hex(8)
    chosen = chosen_answers(lesson, request.form)
    complete = [place for place in chosen if place is not None]
    if len(complete) < len(chosen):
        return _sheet(lesson, sheet, chosen)
    with database().atomic() as connection:
        store_attempt(connection, lesson, complete, sheet=sheet, at_ms=now_ms())
    answers = "-".join(str(place) for place in complete)
    return make_response(redirect(url_for("learning.result", key=key, answers=answers), 303))


@cached_page(arguments=("answers",))
def _result(key: str) -> str:
    lesson = _find(key)
    sent = request.args.get("answers", "").split("-")
    form = {question.key: place for question, place in zip(lesson.questions, sent, strict=False)}
    chosen = chosen_answers(lesson, form)
    if None in chosen:
        abort(404)
    marks = mark(lesson, chosen)
    return render_template("learning/result.html", lesson=lesson, chosen=chosen, marks=marks, score=sum(marks))
