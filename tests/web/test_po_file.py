"""Our reader of `.po` files, against Babel's, which writes them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po as babel_read_po
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st

from village_apps.po_file import read_po

CATALOGUES = sorted((Path(__file__).parents[2] / "village_apps").rglob("phrases/*.po"))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters='\n\t\r"\\'))
IDS = TEXT.filter(lambda text: bool(text.strip()))


def as_babel_reads(data: bytes, language: str) -> dict[str, str | tuple[str, ...]]:
    messages: dict[str, str | tuple[str, ...]] = {}
    for message in babel_read_po(io.BytesIO(data), locale=language, abort_invalid=True):
        if not message.id or message.fuzzy:
            continue
        if isinstance(message.id, tuple | list):
            messages[message.id[0]] = tuple(message.string or ())
        elif isinstance(message.string, str) and message.string:
            messages[message.id] = message.string
    return messages


def test_there_are_catalogues_to_compare() -> None:
    assert len(CATALOGUES) >= 6


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_every_shipped_catalogue_is_read_as_babel_does(file: Path) -> None:
    read = read_po(file.read_text(encoding="utf-8"))
    assert read.messages == as_babel_reads(file.read_bytes(), file.stem)
    assert read.plural_expression == "(n != 1)"


@given(st.dictionaries(IDS, st.tuples(TEXT, st.booleans()), max_size=6), st.integers(20, 100))
def test_what_babel_writes_is_read_back(phrases: dict[str, tuple[str, bool]], width: int) -> None:
    catalogue = Catalog(locale="sw")
    for said, (translation, fuzzy) in phrases.items():
        catalogue.add(said, translation, flags=["fuzzy"] if fuzzy else [], locations=[("views.py", 3)])
    catalogue.add(("%(num)s hen", "%(num)s hens"), ("kuku %(num)s", "kuku wengi"), user_comments=["how many"])
    written = io.BytesIO()
    write_po(written, catalogue, width=width)
    assert read_po(written.getvalue().decode()).messages == as_babel_reads(written.getvalue(), "sw")


def test_a_context_an_obsolete_phrase_and_a_missing_blank_line_hide_nothing() -> None:
    text = (
        'msgctxt "menu"\nmsgid "Open"\nmsgstr "Fungua"\n#: a.py:3\nmsgid "Close"\nmsgstr ""\n"Fu"\n"nga"\n'
        '#~ msgid "Old"\n#~ msgstr "Zamani"\n'
    )
    assert read_po(text).messages == {"Open": "Fungua", "Close": "Funga"}
    assert read_po(text).plural_expression is None


@pytest.mark.parametrize("line", ["msgid Open", 'msgid "Open', '"nothing goes before"', "hello", 'msgstr "a" "b"'])
def test_what_is_no_catalogue_is_refused_with_the_line(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 "):
        read_po(f"# a comment\n{line}\n")
