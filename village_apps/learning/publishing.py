"""A lesson as it is sent: one TOML file, whole, with its figures inside.

Whoever writes one keeps figures as SVG files beside it; they are cleaned and packed into the table `[figures]`, so that
a kit needs nothing but the one file. It is called by the lesson's key: a newer version takes the place of the older.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from kit.errors import KitError
from kit.model.published import PublishedFile
from village_apps.learning.lesson import Lesson, LessonError
from village_apps.learning.lesson_file import MAX_LESSON_BYTES, figure_of, lesson_from_bytes
from village_apps.learning.library import ENDING, read_lesson


class UnreadyLessonError(KitError):
    """A lesson cannot be published; the sentence says what to mend."""


@dataclass(frozen=True)
class ReadyLesson:
    """A lesson and the file in which it travels."""

    lesson: Lesson
    file: PublishedFile


def ready_lesson(file: Path) -> ReadyLesson:
    """Read, check and pack somebody's lesson.

    Raises:
        UnreadyLessonError: it cannot be shown as it is; the sentence names the place.
    """
    try:
        lesson = read_lesson(file)
        _check_pictures(lesson)
        content = _packed(file, lesson)
    except LessonError as error:
        raise UnreadyLessonError(str(error)) from error
    if len(content) > MAX_LESSON_BYTES:
        raise UnreadyLessonError(
            f"{file.name} has {len(content)} bytes with its figures; at most {MAX_LESSON_BYTES} can be published"
        )
    return ReadyLesson(lesson, PublishedFile(name=f"{lesson.key}{ENDING}", content=content))


def prepare_lesson(file: Path, before: Sequence[PublishedFile]) -> PublishedFile:
    """What `kit core publish --kind lesson` sends for that file.

    Args:
        file: somebody's lesson.
        before: the lessons that were published earlier.

    Raises:
        UnreadyLessonError: as `ready_lesson`, or kits would not show it, or would mix results of different questions.
    """
    ready = ready_lesson(file)
    for each in before:
        try:
            earlier = lesson_from_bytes(each.content, source=each.name)
        except LessonError:
            continue  # published before lessons were checked
        _check_follows(ready.lesson, earlier, file.name)
    return ready.file


def _check_follows(lesson: Lesson, earlier: Lesson, name: str) -> None:
    if lesson.key != earlier.key or lesson.version > earlier.version:
        return
    if lesson.version == earlier.version and lesson.questions == earlier.questions:
        return  # a word was mended: results stay comparable
    why = "with other questions " if lesson.version == earlier.version else ""
    raise UnreadyLessonError(
        f"{name}: version {earlier.version} of the lesson '{lesson.key}' was published {why}before; "
        f"write version = {earlier.version + 1}"
    )


def _check_pictures(lesson: Lesson) -> None:
    """A picture that does not exist is drawn as a sign that says nothing: worth mending before it is sent."""
    from village_apps.web.pictures import symbols

    named = [lesson.picture, *(question.picture for question in lesson.questions)]
    for part in lesson.parts:
        named += [part.picture, *(item.picture for item in (*part.signs, *part.steps))]
    for name in named:
        if name and name not in symbols():
            near = get_close_matches(name, symbols(), n=1)
            meant = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(sorted(symbols()))}"
            raise LessonError(f"there is no picture '{name}'{meant}")


def _packed(file: Path, lesson: Lesson) -> bytes:
    text = file.read_text(encoding="utf-8").removeprefix("\ufeff")
    inside = tomllib.loads(text).get("figures", {})
    beside = [name for name in lesson.figures if name not in inside]
    if not beside:
        return text.encode()
    if inside:
        raise LessonError(f"{file.name}: put '{beside[0]}' into [figures], too, or leave all figures beside the file")
    # literal strings of TOML take anything but an apostrophe, and XML has another way to write that
    lines = ["\"{}\" = '''{}'''".format(name, _beside(file, name).replace("'", "&apos;")) for name in beside]
    return "\n".join([text.rstrip(), "", "[figures]", *lines, ""]).encode()


def _beside(file: Path, name: str) -> str:
    return figure_of(name, {}, lambda told: (file.parent / told).read_text("utf-8"))
