"""The lessons that come with the app, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from village_apps.learning.lesson import Lesson, parse_lesson

LESSONS = Path(__file__).parent / "lessons"


@cache
def lessons() -> dict[str, Lesson]:
    """Every lesson by its key, in alphabetical order of their folders."""
    found = [
        parse_lesson(file.read_text(encoding="utf-8"), source=str(file))
        for file in sorted(LESSONS.glob("*/lesson.toml"))
    ]
    return {lesson.key: lesson for lesson in found}


@cache
def figure(lesson: str, name: str) -> str:
    """The SVG of a figure that a lesson names."""
    return (LESSONS / lesson / name).read_text(encoding="utf-8").strip()
