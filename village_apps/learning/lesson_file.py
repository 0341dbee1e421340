"""Reads a lesson from its TOML file, whoever wrote it. Pure.

Invariant: what comes out can be shown as it is; whatever is wrong is refused with a sentence that names the place and
what to mend. A file may come from elsewhere: its size, its texts and its lists are bounded, its figures cleaned.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from village_apps.learning.figures import clean_figure
from village_apps.learning.lesson import Illustrated, Lesson, LessonError, Part, Question, lesson_words

MAX_LESSON_BYTES = 128 * 1024
"""By LoRa that is hours of air; the lesson that comes with the kit has 11 kB with its four figures."""

LINE, PROSE = 120, 600
"""Characters of a title or an answer, and of a sentence."""

MOST_PARTS, MOST_ITEMS, MOST_QUESTIONS, MOST_ANSWERS, MOST_FIGURES = 30, 30, 20, 6, 20
MOST_MINUTES, MOST_VERSIONS = 240, 1_000_000

KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
QUESTION_KEY = re.compile(r"[a-z][a-z0-9_-]*")
FIGURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.svg")
LANGUAGE = re.compile(r"[a-z]{2,3}")
LONGEST_KEY = 40

NOT_KEYS = frozenset({"sheet", "version"})
"""Names of the quiz's other fields."""

Beside = Callable[[str], str]
"""Finds the SVG that lies beside the file, by its name; raises `OSError` where there is none."""


def parse_lesson(text: str, *, source: str, beside: Beside | None = None) -> Lesson:
    """Parse the text of a lesson.

    Args:
        text: TOML.
        source: names it in errors.
        beside: for figures that are not inside; None = all must be.

    Raises:
        LessonError: it is no TOML, or something is missing, unknown or makes no sense.
    """
    try:
        told = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise LessonError(f"{source} is not valid TOML: {error}") from error
    try:
        return _lesson(_Table(told, ""), text, beside)
    except LessonError as error:
        raise LessonError(f"{source}: {error}") from error


def lesson_from_bytes(content: bytes, *, source: str, beside: Beside | None = None) -> Lesson:
    """The same from the bytes of a file.

    Raises:
        LessonError: also: it is too large, or no text.
    """
    if len(content) > MAX_LESSON_BYTES:
        raise LessonError(f"{source} has more than {MAX_LESSON_BYTES} bytes; make its figures smaller, or two lessons")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{source} is no UTF-8 text; save it as UTF-8") from error
    return parse_lesson(text, source=source, beside=beside)


class _Table:
    """A table of the file and where it stands, so that every complaint says where."""

    def __init__(self, told: Any, where: str) -> None:
        if not isinstance(told, dict):
            raise LessonError(f"{where or 'it'} must be a table, like [[parts]]")
        self._told, self._where, self._known = told, where, set[str]()

    def place(self, key: str) -> str:
        """How people find that key."""
        return f"{self._where}.{key}" if self._where else key

    def take(self, key: str, default: Any = None) -> Any:
        """What stands under that key; None as a default means that it must be there."""
        self._known.add(key)
        found = self._told.get(key, default)
        if found is None:
            near = get_close_matches(key, self._told.keys() - self._known, n=1)
            raise LessonError(f"{self.place(key)} is missing" + (f"; is it '{near[0]}'?" if near else ""))
        return found

    def text(self, key: str, longest: int, default: str | None = None) -> str:
        """Words, or a name."""
        return _text(self.take(key, default), self.place(key), longest, empty=default == "")

    def name(self, key: str, pattern: re.Pattern[str], example: str) -> str:
        """A short name for programs."""
        found = self.text(key, LONGEST_KEY)
        if not pattern.fullmatch(found):
            raise LessonError(
                f"{self.place(key)} = '{found}' is no name; write small letters and digits, like {example}"
            )
        return found

    def number(self, key: str, low: int, high: int) -> int:
        """A whole number."""
        found = self.take(key)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise LessonError(f"{self.place(key)} must be a whole number from {low} to {high}")
        return found

    def texts(self, key: str, longest: int, most: int) -> tuple[str, ...]:
        """A list of texts; nothing if it is not there."""
        found = self._list(key, most, default=[])
        return tuple(_text(each, f"{self.place(key)}[{number}]", longest) for number, each in enumerate(found, 1))

    def tables(self, key: str, most: int, *, least: int = 0) -> list[_Table]:
        """A list of tables."""
        found = self._list(key, most, default=[] if least == 0 else None)
        if len(found) < least:
            raise LessonError(f"{self.place(key)}: at least {least} is needed")
        return [_Table(each, f"{self.place(key)}[{number}]") for number, each in enumerate(found, 1)]

    def mapping(self, key: str, most: int) -> Mapping[str, Any]:
        """A table with names that the file chooses."""
        found = self.take(key, {})
        if not isinstance(found, dict) or len(found) > most:
            raise LessonError(f"{self.place(key)} must be a table with at most {most} lines")
        return found

    def _list(self, key: str, most: int, default: list[Any] | None) -> list[Any]:
        found = self.take(key, default)
        if not isinstance(found, list) or len(found) > most:
            raise LessonError(f"{self.place(key)} must be a list of at most {most}")
        return found

    def done(self) -> None:
        """Refuse what nobody asked for: it is a slip of the pen."""
        for key in self._told.keys() - self._known:
            near = get_close_matches(key, self._known, n=1)
            raise LessonError(f"{self.place(key)} is unknown" + (f"; did you mean '{near[0]}'?" if near else ""))


def _text(told: Any, place: str, longest: int, *, empty: bool = False) -> str:
    if not isinstance(told, str):
        raise LessonError(f'{place} must be text in quotes, like "Water at dusk."')
    if not told.strip() and not empty:
        raise LessonError(f"{place} is empty")
    if len(told) > longest:
        raise LessonError(f"{place} has {len(told)} characters; at most {longest}")
    if any(letter < " " or letter == "\x7f" for letter in told.replace("\n", "")):
        raise LessonError(f"{place} holds a control character")
    return told


def _lesson(table: _Table, text: str, beside: Beside | None) -> Lesson:
    key = table.name("key", KEY, "water-saving")
    parts = tuple(map(_part, table.tables("parts", MOST_PARTS, least=1)))
    lesson = Lesson(
        key=key,
        version=table.number("version", 1, MOST_VERSIONS),
        title=table.text("title", LINE),
        summary=table.text("summary", PROSE),
        picture=table.text("picture", LONGEST_KEY, "book"),
        minutes=table.number("minutes", 1, MOST_MINUTES),
        source=table.text("source", PROSE),
        parts=parts,
        questions=_questions(table.tables("questions", MOST_QUESTIONS, least=1)),
        figures=_figures(table.mapping("figures", MOST_FIGURES), parts, key, beside),
        language=table.text("language", LINE, "en"),
        translations=_translations(table.mapping("translations", MOST_FIGURES), text),
    )
    if not LANGUAGE.fullmatch(lesson.language):
        raise LessonError(f"language = '{lesson.language}' is none; write its code, like sw")
    table.done()
    return lesson


def _part(table: _Table) -> Part:
    part = Part(
        heading=table.text("heading", LINE),
        picture=table.text("picture", LONGEST_KEY, ""),
        figure=table.text("figure", LONGEST_KEY, ""),
        figure_says=table.text("figure_says", PROSE, ""),
        sentences=table.texts("sentences", PROSE, MOST_ITEMS),
        signs=_illustrated(table, "signs"),
        steps=_illustrated(table, "steps"),
        donts=table.texts("donts", PROSE, MOST_ITEMS),
    )
    table.done()
    if part.figure and not FIGURE_NAME.fullmatch(part.figure):
        raise LessonError(f"{table.place('figure')} = '{part.figure}' is no name of a figure; write it like valley.svg")
    if part.figure and not part.figure_says:
        raise LessonError(f"{table.place('figure_says')} is missing: say in words what the figure shows")
    return part


def _illustrated(table: _Table, key: str) -> tuple[Illustrated, ...]:
    found: list[Illustrated] = []
    for each in table.tables(key, MOST_ITEMS):
        found.append(Illustrated(each.text("picture", LONGEST_KEY), each.text("text", PROSE)))
        each.done()
    return tuple(found)


def _questions(tables: list[_Table]) -> tuple[Question, ...]:
    found: dict[str, Question] = {}
    for table in tables:
        question = Question(
            key=table.name("key", QUESTION_KEY, "when"),
            picture=table.text("picture", LONGEST_KEY, "question"),
            text=table.text("text", PROSE),
            answers=table.texts("answers", PROSE, MOST_ANSWERS),
            right=table.number("right", 0, MOST_ITEMS),
            why=table.text("why", PROSE),
        )
        table.done()
        if question.key in found or question.key in NOT_KEYS:
            raise LessonError(f"{table.place('key')} = '{question.key}' is taken; give each question a key of its own")
        if len(question.answers) < 2:  # noqa: PLR2004 - a choice has two
            raise LessonError(f"{table.place('answers')}: at least two are needed")
        if question.right >= len(question.answers):
            raise LessonError(
                f"question '{question.key}' has {len(question.answers)} answers, counted from 0; "
                f"right = {question.right} is none of them"
            )
        found[question.key] = question
    return tuple(found.values())


def _figures(inside: Mapping[str, Any], parts: tuple[Part, ...], key: str, beside: Beside | None) -> Mapping[str, str]:
    wanted = [part.figure for part in parts if part.figure]
    for name in inside:
        if name not in wanted:
            raise LessonError(f"figures.'{name[:LONGEST_KEY]}' is shown by no part; leave it out, or name it in one")
    return {
        name: figure_of(name, inside, beside, prefix=f"{key}-{number}-")
        for number, name in enumerate(dict.fromkeys(wanted), 1)
    }


def figure_of(name: str, inside: Mapping[str, Any], beside: Beside | None, *, prefix: str = "") -> str:
    """The cleaned figure of that name.

    Raises:
        LessonError: it is nowhere, or holds what it must not.
    """
    svg = inside.get(name)
    if svg is None and beside is not None:
        try:
            svg = beside(name)
        except (OSError, UnicodeDecodeError) as error:
            raise LessonError(f"the figure '{name}' lies neither in [figures] nor beside the file") from error
    if not isinstance(svg, str):
        raise LessonError(f"the figure '{name}' is not in [figures]")
    try:
        return clean_figure(svg, prefix=prefix)
    except LessonError as error:
        raise LessonError(f"the figure '{name}' {error}") from error


def _translations(told: Mapping[str, Any], text: str) -> Mapping[str, Mapping[str, str]]:
    if not told:
        return {}
    words = set(lesson_words(text.removeprefix("\ufeff")))
    found: dict[str, dict[str, str]] = {}
    for language, pairs in told.items():
        if not LANGUAGE.fullmatch(language) or not isinstance(pairs, dict):
            raise LessonError(
                f"translations.{language[:LONGEST_KEY]}: write a table for a language, like [translations.sw]"
            )
        for word, said in pairs.items():
            if word not in words:
                raise LessonError(f"translations.{language}: '{word[:60]}' stands nowhere in the lesson")
            _text(said, f"translations.{language}: '{word[:60]}'", PROSE)
        found[language] = dict(pairs)
    return found
