"""Lessons as data: a folder with a `lesson.toml`, its figures, and the words of its quiz. Parsing and marking are pure.

Words are English in the file and translated through the catalogues like every other phrase, so that a lesson has one
structure, one set of right answers, and any number of languages.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WORDS = ("title", "summary", "heading", "figure_says", "text", "why", "sentences", "donts", "answers")
"""Keys of `lesson.toml` whose values are words for people; `script/phrases` collects them."""


class LessonError(Exception):
    """A lesson's file is not usable; the sentence says what to mend."""


@dataclass(frozen=True)
class Illustrated:
    """A sentence with its picture."""

    picture: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of a lesson; what it does not have is empty."""

    heading: str
    picture: str = ""
    figure: str = ""
    figure_says: str = ""
    sentences: tuple[str, ...] = ()
    signs: tuple[Illustrated, ...] = ()
    steps: tuple[Illustrated, ...] = ()
    donts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with its answers; `right` is the place of the right one, from 0."""

    key: str
    picture: str
    text: str
    answers: tuple[str, ...]
    right: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A lesson; `version` changes when its questions do."""

    key: str
    version: int
    title: str
    summary: str
    picture: str
    minutes: int
    source: str
    parts: tuple[Part, ...]
    questions: tuple[Question, ...]


def parse_lesson(text: str, *, source: str) -> Lesson:
    """Parse the text of a `lesson.toml`; `source` names it in errors.

    Raises:
        LessonError: it is no TOML, or something is missing or makes no sense.
    """
    try:
        told = tomllib.loads(text)
        lesson = _build(told)
    except tomllib.TOMLDecodeError as error:
        raise LessonError(f"{source} is not valid TOML: {error}") from error
    except (KeyError, TypeError) as error:
        raise LessonError(f"{source}: something is missing or unknown: {error}") from error
    for question in lesson.questions:
        if not 0 <= question.right < len(question.answers):
            raise LessonError(
                f"{source}: question '{question.key}' has {len(question.answers)} answers, counted from 0; "
                f"right = {question.right} is none of them"
            )
    return lesson


def chosen_answers(lesson: Lesson, form: Mapping[str, str]) -> tuple[int | None, ...]:
    """What was ticked, question by question; None where nothing (or nonsense) was sent."""
    chosen: list[int | None] = []
    for question in lesson.questions:
        sent = form.get(question.key, "")
        place = int(sent) if sent.isascii() and sent.isdecimal() and len(sent) == 1 else None
        chosen.append(place if place is not None and place < len(question.answers) else None)
    return tuple(chosen)


def mark(lesson: Lesson, chosen: Sequence[int | None]) -> tuple[bool, ...]:
    """Which questions were answered rightly."""
    return tuple(place == question.right for question, place in zip(lesson.questions, chosen, strict=True))


def lesson_words(text: str) -> list[str]:
    """Every sentence of a `lesson.toml` that is to be translated, in the order of the file."""
    return _words(tomllib.loads(text))


def _words(value: Any, *, wanted: bool = False) -> list[str]:
    if isinstance(value, str):
        return [value] if wanted else []
    if isinstance(value, list):
        return [word for item in value for word in _words(item, wanted=wanted)]
    if isinstance(value, dict):
        return [word for key, item in value.items() for word in _words(item, wanted=key in WORDS)]
    return []


def _build(told: dict[str, Any]) -> Lesson:
    parts = tuple(_part(part) for part in told.pop("parts"))
    questions = tuple(Question(**{**item, "answers": tuple(item["answers"])}) for item in told.pop("questions"))
    return Lesson(**told, parts=parts, questions=questions)


def _part(told: dict[str, Any]) -> Part:
    return Part(
        **{
            **told,
            "sentences": tuple(told.get("sentences", ())),
            "donts": tuple(told.get("donts", ())),
            "signs": tuple(Illustrated(**item) for item in told.get("signs", ())),
            "steps": tuple(Illustrated(**item) for item in told.get("steps", ())),
        }
    )
