"""Finds every phrase of an app in its code, templates and lessons, and checks the catalogues against them.

`script/phrases` runs this: without arguments it says what is missing, with `--write` it brings the catalogues up to
date (new phrases come in untranslated, phrases that nothing uses any more go out). A test runs the same check.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from village_apps.phrases import LANGUAGE_NAMES, SOURCE_LANGUAGE

PACKAGE = Path(__file__).parent

LANGUAGES = ("sw",)
"""Languages that must be complete."""

MARKERS = {"_": 1, "gettext": 1, "phrase": 1, "N_": 1, "ngettext": 2, "translated": 1}
"""Functions whose first literal arguments are phrases, with how many of them."""

KEYWORDS = {"standing_card": {"title", "text"}}
"""Functions whose phrases are keyword arguments."""

PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|%%")

HEADERS_LEFT_OUT = re.compile(r'"(POT-Creation|PO-Revision|Generated-By|Project-Id|Report-Msgid|Last-Tr|Language-Team)')

WIDTH = 110


@dataclass(frozen=True)
class Found:
    """A phrase in its source: the English text, its plural if it counts something, and where it stands."""

    msgid: str
    plural: str | None
    file: str


def parts() -> list[Path]:
    """The folders that have catalogues of their own: the frame and the apps."""
    return sorted(folder.parent for folder in PACKAGE.glob("*/phrases") if folder.is_dir())


def phrases_of(folder: Path) -> list[Found]:
    """Every phrase of the part in that folder, each once, in the order of its files."""
    found: dict[str, Found] = {}
    for file in sorted(folder.rglob("*")):
        for msgid, plural in _phrases_in_file(file):
            known = found.get(msgid)
            if known is None or (known.plural is None and plural is not None):
                found[msgid] = Found(msgid, plural, str(file.relative_to(PACKAGE.parent)))
    return list(found.values())


def _phrases_in_file(file: Path) -> Iterator[tuple[str, str | None]]:
    if file.suffix == ".py":
        yield from _in_python(file.read_text(encoding="utf-8"))
    elif file.suffix == ".html":
        yield from _in_template(file)
    elif file.name == "lesson.toml":
        from village_apps.learning.lesson import lesson_words

        for word in lesson_words(file.read_text(encoding="utf-8")):
            yield word, None


def _in_python(text: str) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        for keyword in node.keywords:
            if keyword.arg in KEYWORDS.get(str(name), ()) and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value), None
        wanted = MARKERS.get(str(name))
        if wanted is None:
            continue
        words = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        # `phrases.gettext(language, "…")` and `_("…")` alike: the first literal that is no language code
        words = [word for word in words if word not in {SOURCE_LANGUAGE, *LANGUAGES}]
        if len(words) >= wanted:
            yield words[0], words[1] if wanted > 1 else None


def _in_template(file: Path) -> Iterator[tuple[str, str | None]]:
    from jinja2.ext import babel_extract

    options = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
    with file.open("rb") as stream:
        for _, function, message, _ in babel_extract(stream, list(MARKERS), (), options):
            words = message if isinstance(message, tuple) else (message,)
            texts = [word for word in words if isinstance(word, str)]
            if texts:
                yield texts[0], texts[1] if function == "ngettext" and len(texts) > 1 else None


def problems_of(folder: Path, language: str) -> list[str]:
    """A sentence for each phrase of the part that has no good translation."""
    from babel.messages.pofile import read_po

    file = folder / "phrases" / f"{language}.po"
    if not file.exists():
        return [f"{file} does not exist; script/phrases --write makes it"]
    with file.open("rb") as stream:
        catalogue = read_po(stream, locale=language)
    problems: list[str] = []
    wanted = phrases_of(folder)
    for found in wanted:
        message = catalogue.get(found.msgid)
        texts = () if message is None else message.string if isinstance(message.string, tuple) else (message.string,)
        if message is None or message.fuzzy or not all(texts):
            problems.append(f"{file}: not translated: {found.msgid!r} ({found.file})")
            continue
        for text in texts:
            problems += _placeholder_problems(found, str(text), file)
    unused = {
        str(message.id[0] if isinstance(message.id, tuple) else message.id) for message in catalogue if message.id
    }
    problems += [
        f"{file}: nothing says {msgid!r} any more" for msgid in sorted(unused - {item.msgid for item in wanted})
    ]
    return problems


def _placeholder_problems(found: Found, text: str, file: Path) -> list[str]:
    known = set(PLACEHOLDER.findall(found.msgid)) | set(PLACEHOLDER.findall(found.plural or ""))
    said = set(PLACEHOLDER.findall(text))
    # a plural form may leave out the number ("one person"); it may never name what is not there
    if said - known or (found.plural is None and known - said):
        return [f"{file}: the placeholders of {text!r} are not those of {found.msgid!r}"]
    return []


def write_catalogue(folder: Path, language: str) -> None:
    """Bring the part's catalogue up to date with its phrases; what is translated stays."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    file = folder / "phrases" / f"{language}.po"
    old = Catalog(locale=language)
    if file.exists():
        with file.open("rb") as stream:
            old = read_po(stream, locale=language)
    new = Catalog(
        locale=language,
        header_comment=f"# {LANGUAGE_NAMES[language]}: village_apps/{folder.name}. GPL-3.0-or-later, as the kit.",
        fuzzy=False,
    )
    for found in phrases_of(folder):
        message = old.get(found.msgid)
        new.add(
            (found.msgid, found.plural) if found.plural else found.msgid,
            string=message.string if message else "",
            locations=[(found.file, 1)],
        )
    with file.open("wb") as stream:
        write_po(stream, new, include_lineno=False, omit_header=False, width=WIDTH)
    _drop_dates(file)


def _drop_dates(file: Path) -> None:
    """Headers that change with every run would make every run a change; those that nobody filled in say nothing."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not HEADERS_LEFT_OUT.match(line)]
    file.write_text("".join(kept), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the check, or bring the catalogues up to date."""
    parser = argparse.ArgumentParser(prog="script/phrases", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="bring the catalogues up to date")
    told = parser.parse_args(arguments)
    problems: list[str] = []
    for folder in parts():
        for language in LANGUAGES:
            if told.write:
                write_catalogue(folder, language)
            problems += problems_of(folder, language)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if not problems:
        sys.stdout.write("Every phrase is translated.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
