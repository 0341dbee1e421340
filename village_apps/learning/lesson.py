"""Lessons as data: parts to read, figures, and the questions of a quiz. Pure; `lesson_file` reads them from TOML.

A lesson has one structure, one set of right answers, and any number of languages: those that came with the kit are
English in the file and translated through the catalogues like every other phrase, others carry their translations.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """A lesson.

    Attributes:
        key: its name in addresses and results.
        version: higher for what replaces an earlier one; it changes at least when the questions do.
        source: what it was written from.
        figures: name → SVG that may stand in a page.
        language: of its words.
        translations: language → word of the file → translation.
    """

    key: str
    version: int
    title: str
    summary: str
    picture: str
    minutes: int
    source: str
    parts: tuple[Part, ...]
    questions: tuple[Question, ...]
    figures: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def own_word(self, word: str, language: str) -> str | None:
        """The word in that language as the lesson itself says it; None = it does not say."""
        return word if language == self.language else self.translations.get(language, {}).get(word)


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
