"""What the city publishes, as bytes from outside: the file in its record, a lesson, its figures, a text of advice."""

from __future__ import annotations

import re

from fuzzing import Target

from kit.model.published import (
    PublishedError,
    PublishedFile,
    Withdrawal,
    published_body,
    read_published,
    withdrawal_body,
)
from village_apps.agri.city_advice import AdviceError, read_text
from village_apps.learning.figures import clean_figure
from village_apps.learning.lesson import LessonError
from village_apps.learning.lesson_file import lesson_from_bytes
from village_apps.learning.library import LESSONS
from village_apps.learning.publishing import ready_lesson


def published_targets() -> list[Target]:
    """The kit's parsers of what the city publishes."""
    lesson = ready_lesson(LESSONS / "frost" / "lesson.toml").file
    short = lesson.content[:700] + lesson.content[lesson.content.index(b"[[questions]]") :][:900]
    figures = [file.read_bytes() for file in LESSONS.glob("*/*.svg")]
    bodies = [published_body(PublishedFile(name="a.txt", content=content, by="Asha")) for content in (b"a" * 99, b"a")]
    bodies.append(withdrawal_body(Withdrawal("a.txt")))
    advice = b"Locusts are coming\n\nCover the seedlings."
    return [
        Target(name="published", seeds=bodies, parse=_published),
        Target(name="lesson", seeds=[lesson.content, short], parse=_lesson, refuses=(LessonError,)),
        Target(name="figure", seeds=figures, parse=_figure, refuses=(LessonError,)),
        Target(name="advice", seeds=[advice], parse=lambda data: len(read_text(data, "a.txt")), refuses=(AdviceError,)),
    ]


def _published(data: bytes) -> object:
    try:
        told = read_published(data)
    except PublishedError as refusal:
        # names and details are as many as there are inputs; which sentence it is tells whether this is a new answer
        return re.sub(r"'.*'|\(.*\)|[0-9]+", "", str(refusal), flags=re.DOTALL)
    return isinstance(told, Withdrawal) or (bool(told.name), bool(told.by))


def _lesson(data: bytes) -> object:
    lesson = lesson_from_bytes(data, source="x.toml")
    return (len(lesson.parts), len(lesson.questions), len(lesson.figures))


def _figure(data: bytes) -> object:
    return clean_figure(data.decode("utf-8", "replace")).count("<") // 10
