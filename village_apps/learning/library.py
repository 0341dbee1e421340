"""The lessons that there are: those that came with the app, and those that the city has published since.

Invariant: what lies below `content/lesson` breaks no page. A file that is no lesson, or that another one replaces, is
left out, with the sentence for the technician that says why. A file is read once for each time that it changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kit.health.received_files import ReceivedFile, received_files
from village_apps.learning.lesson import Lesson, LessonError
from village_apps.learning.lesson_file import MAX_LESSON_BYTES, lesson_from_bytes

LESSONS = Path(__file__).parent / "lessons"
KIND = "lesson"
ENDING = ".toml"

NEW_FOR_MS = 7 * 86_400_000
"""So long a lesson is called new: a class that meets once a week sees it once."""

MOST_FILES = 200


@dataclass(frozen=True, kw_only=True)
class Shelved:
    """A lesson and where it came from.

    Attributes:
        received: the file that the city sent; None = it came with the kit, or somebody put it there by hand.
        since_ms: since when it is here, Unix ms; None = always.
    """

    lesson: Lesson
    file: str = ""
    received: ReceivedFile | None = None
    since_ms: int | None = None

    def is_new(self, now_ms: int) -> bool:
        """Whether it came in the last days."""
        return self.since_ms is not None and now_ms - self.since_ms < NEW_FOR_MS

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of two files with the same lesson the higher one is shown."""
        return (self.lesson.version, -1 if self.since_ms is None else self.since_ms, self.file)


@dataclass(frozen=True)
class Shelf:
    """Every lesson by its key, in alphabetical order, and what is wrong with the other files (name → sentence)."""

    lessons: Mapping[str, Shelved]
    problems: Mapping[str, str] = field(default_factory=dict)


@cache
def lessons(folder: Path = LESSONS) -> dict[str, Lesson]:
    """Every lesson that came with the kit, by its key; each lies in a folder of its own below that one."""
    found = [read_lesson(file) for file in sorted(folder.glob("*/lesson.toml"))]
    return {lesson.key: lesson for lesson in found}


def read_lesson(file: Path) -> Lesson:
    """A lesson from a file of somebody's own, whose figures may lie beside it.

    Raises:
        LessonError: it cannot be read, or is none.
    """
    return lesson_from_bytes(_read(file), source=file.name, beside=lambda name: (file.parent / name).read_text("utf-8"))


@cache
def library(folder: Path) -> Library:
    """The one of this process for that folder."""
    return Library(folder)


class Library:
    """The lessons of a unit.

    Args:
        folder: where those lie that were published, `content/lesson`.
        shipped: where those lie that came with the kit.
    """

    def __init__(self, folder: Path, *, shipped: Path = LESSONS) -> None:
        self._folder, self._shipped = folder, shipped
        self._known: Mapping[str, tuple[tuple[int, int], Lesson | str]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing was ever published here; quick."""
        return not self._folder.is_dir()

    def shelf(self, connection: sqlite3.Connection) -> Shelf:
        """What there is now."""
        own = {key: Shelved(lesson=lesson) for key, lesson in lessons(self._shipped).items()}
        if self.empty:
            return Shelf(own)
        read = self._files()
        told = {file.name: file for file in received_files(connection) if file.kind == KIND}
        problems = {name: found for name, (_, found) in read.items() if isinstance(found, str)}
        shelved = [
            _shelved(name, lesson, stamp, told.get(name))
            for name, (stamp, lesson) in read.items()
            if isinstance(lesson, Lesson)
        ]
        best = dict(own)
        for each in sorted(shelved, key=lambda one: one.rank):
            before = best.get(each.lesson.key)
            if before is not None and before.file:
                problems[before.file] = _replaced_by(each)
            if before is not None and not before.file and each.lesson.version < before.lesson.version:
                problems[each.file] = _older_than_shipped(each, before)
            else:
                best[each.lesson.key] = each
        return Shelf(dict(sorted(best.items())), dict(sorted(problems.items())))

    def _files(self) -> Mapping[str, tuple[tuple[int, int], Lesson | str]]:
        before, now = self._known, dict[str, tuple[tuple[int, int], Lesson | str]]()
        try:
            names = sorted(entry.name for entry in self._folder.iterdir() if not entry.name.startswith("."))
        except OSError:
            return {}
        for name in names[:MOST_FILES]:
            try:
                told = (self._folder / name).stat()
            except OSError:
                continue  # replaced at this moment
            stamp = (told.st_mtime_ns, told.st_size)
            known = before.get(name)
            now[name] = known if known is not None and known[0] == stamp else (stamp, self._read_one(name))
        for name in names[MOST_FILES:]:
            now[name] = ((0, 0), f"is left out: more than {MOST_FILES} files lie here")
        self._known = now
        return now

    def _read_one(self, name: str) -> Lesson | str:
        if not name.endswith(ENDING):
            return f"is no lesson: the name of a lesson ends in {ENDING}"
        try:
            return lesson_from_bytes(_read(self._folder / name), source=name)
        except LessonError as error:
            return str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_LESSON_BYTES + 1)
    except OSError as error:
        raise LessonError(f"{file.name} cannot be read ({error.strerror})") from error


def _shelved(name: str, lesson: Lesson, stamp: tuple[int, int], received: ReceivedFile | None) -> Shelved:
    since_ms = stamp[0] // 1_000_000 if received is None else received.at_ms
    return Shelved(lesson=lesson, file=name, received=received, since_ms=since_ms)


def _replaced_by(after: Shelved) -> str:
    shown = after.lesson
    return f"is not shown: '{after.file}' holds the lesson '{shown.key}', too, in version {shown.version}"


def _older_than_shipped(each: Shelved, own: Shelved) -> str:
    return (
        f"is not shown: it is version {each.lesson.version} of the lesson '{each.lesson.key}', "
        f"and version {own.lesson.version} came with the kit"
    )
