"""`kit lessons ls | check`: which lessons the unit shows, and whether one that somebody wrote can be published."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from village_apps.learning.lesson import lesson_words

if TYPE_CHECKING:
    from village_apps.learning.publishing import ReadyLesson

LORA_BYTES_PER_MINUTE = 512
"""A broadcast in a tenth of the air, LongFast: 10 KiB take some twenty minutes."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `kit lessons`."""
    words = parser.add_subparsers(dest="lessons_command", required=True, metavar="ls|check")
    words.add_parser("ls", help="the lessons on this unit, and the files that are none").set_defaults(run=list_lessons)
    check = words.add_parser("check", help="whether a lesson can be published, and how it will look")
    check.add_argument("file", type=Path, metavar="FILE", help="the lesson's TOML file; figures may lie beside it")
    check.add_argument("--page", type=Path, metavar="HTML", help="write the pages into this file, to look at them")
    check.set_defaults(run=check_lesson)


def check_lesson(arguments: argparse.Namespace) -> int:
    """Read it as a kit will; what is wrong is one sentence and exit code 1.

    Raises:
        UnreadyLessonError: it cannot be published.
        KitError: the page cannot be written.
    """
    from village_apps.learning.publishing import ready_lesson

    ready = ready_lesson(arguments.file)
    if arguments.page is not None:
        from village_apps.learning.preview import write_preview

        write_preview(ready, arguments.page)
    if arguments.json:
        _print_json(_facts(ready))
        return 0
    sys.stdout.write("\n".join([*_outline(ready), ""]))
    if arguments.page is not None:
        sys.stdout.write(f"Its pages are in {arguments.page}; open that in a browser.\n")
    return 0


def list_lessons(arguments: argparse.Namespace) -> int:
    """What the learning pages show, and what lies there and is not shown."""
    from kit.errors import UsageError
    from kit.health.times import rfc3339
    from kit.home import find_home
    from kit.store.database import Database
    from village_apps.learning.library import KIND, library

    home = find_home(arguments.home)
    if not home.database.exists():
        raise UsageError(f"{home.path} holds no store yet: this unit has never run; start it with `kit run`")
    with Database(home.database, read_only=True) as database:
        shelf = library(home.content / KIND).shelf(database.connection)
    rows = [
        {
            "lesson": key,
            "version": each.lesson.version,
            "title": each.lesson.title,
            "file": each.file,
            "by": each.received.by if each.received else "",
            "since": rfc3339(each.since_ms),
        }
        for key, each in shelf.lessons.items()
    ]
    if arguments.json:
        _print_json({"lessons": rows, "problems": [{"file": k, "why": v} for k, v in shelf.problems.items()]})
        return 0
    for row in rows:
        came = f"from {row['by'] or 'the city'}, {row['since']}" if row["file"] else "came with the kit"
        sys.stdout.write(f"{row['lesson']:<24} version {row['version']:<4} {row['title']}  ({came})\n")
    for file, why in shelf.problems.items():
        sys.stdout.write(f"! {file} {why}\n")
    return 0


def _facts(ready: ReadyLesson) -> dict[str, Any]:
    lesson = ready.lesson
    return {
        "lesson": lesson.key,
        "version": lesson.version,
        "title": lesson.title,
        "parts": len(lesson.parts),
        "questions": len(lesson.questions),
        "figures": list(lesson.figures),
        "languages": [lesson.language, *lesson.translations],
        "bytes": len(ready.file.content),
        "sent_bytes": _sent_bytes(ready),
        "name": ready.file.name,
    }


def _outline(ready: ReadyLesson) -> list[str]:
    lesson = ready.lesson
    sent = _sent_bytes(ready)
    minutes = -(-sent // LORA_BYTES_PER_MINUTE)
    return [
        f"{lesson.title}: {lesson.summary}",
        f"  lesson '{lesson.key}', version {lesson.version}, {lesson.minutes} minutes",
        *(f"  {number}. {part.heading}{_figure_words(part.figure)}" for number, part in enumerate(lesson.parts, 1)),
        f"  {len(lesson.questions)} questions; the right answers:",
        *(f"  {number}. {each.text} {each.answers[each.right]}" for number, each in enumerate(lesson.questions, 1)),
        f"  languages: {', '.join([lesson.language, *_translated(ready)])}",
        f"It can be published: {sent} bytes on the way, about {minutes} minutes by LoRa.",
    ]


def _translated(ready: ReadyLesson) -> list[str]:
    """Each further language, with how much of the lesson it says."""
    words = set(lesson_words(ready.file.content.decode()))
    told = ready.lesson.translations.items()
    return [f"{language} ({len(said)} of {len(words)} texts)" for language, said in told]


def _figure_words(name: str) -> str:
    return f" [{name}]" if name else ""


def _sent_bytes(ready: ReadyLesson) -> int:
    from kit.model.published import published_body

    return len(published_body(ready.file))


def _print_json(told: Any) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
