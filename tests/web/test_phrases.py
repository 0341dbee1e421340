from __future__ import annotations

from pathlib import Path

import pytest

from village_apps.phrase_sources import LANGUAGES, parts, phrases_of, problems_of
from village_apps.phrases import Phrases, direction, phrase

SWAHILI = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Good morning, %(name)s"
msgstr "Habari za asubuhi, %(name)s"

msgid "One goat"
msgid_plural "%(num)s goats"
msgstr[0] "Mbuzi mmoja"
msgstr[1] "Mbuzi %(num)s"

msgid "leaves"
msgstr "majani"

#, fuzzy
msgid "sheep"
msgstr "mbuzi"
"""


@pytest.fixture
def phrases(tmp_path: Path) -> Phrases:
    (tmp_path / "sw.po").write_text(SWAHILI)
    return Phrases.load([tmp_path])


def test_a_phrase_is_said_in_the_readers_language(phrases: Phrases) -> None:
    assert phrases.gettext("sw", "Good morning, %(name)s", name="Amina") == "Habari za asubuhi, Amina"
    assert phrases.gettext("en", "Good morning, %(name)s", name="Amina") == "Good morning, Amina"


def test_a_phrase_without_a_translation_is_said_in_english(phrases: Phrases) -> None:
    assert phrases.gettext("sw", "Take care") == "Take care"
    assert phrases.gettext("fr", "Take care") == "Take care"


def test_a_guess_that_nobody_has_read_is_not_shown(phrases: Phrases) -> None:
    assert phrases.gettext("sw", "sheep") == "sheep"


def test_counted_things_take_the_plural_form_of_the_language(phrases: Phrases) -> None:
    assert phrases.ngettext("sw", "One goat", "%(num)s goats", 1) == "Mbuzi mmoja"
    assert phrases.ngettext("sw", "One goat", "%(num)s goats", 12) == "Mbuzi 12"
    assert phrases.ngettext("en", "One goat", "%(num)s goats", 0) == "0 goats"


def test_a_phrase_within_a_phrase_is_translated_too(phrases: Phrases) -> None:
    said = phrase("Good morning, %(name)s", name=phrase("leaves"))
    assert phrases.say("sw", said) == "Habari za asubuhi, majani"


def test_a_broken_catalogue_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "sw.po").write_text("nonsense\n")
    with pytest.raises(ValueError, match=r"sw\.po is not a gettext catalogue"):
        Phrases.load([tmp_path])


def test_arabic_runs_from_right_to_left() -> None:
    assert (direction("ar"), direction("sw")) == ("rtl", "ltr")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("folder", parts(), ids=lambda folder: folder.name)
def test_every_phrase_of_every_app_is_translated(folder: Path, language: str) -> None:
    assert problems_of(folder, language) == []


def test_no_two_apps_translate_the_same_phrase_differently() -> None:
    loaded = {folder.name: Phrases.load([folder / "phrases"]) for folder in parts()}
    said: dict[str, set[str]] = {}
    for folder in parts():
        for found in phrases_of(folder):
            said.setdefault(found.msgid, set()).add(loaded[folder.name].translate("sw", found.msgid))
    assert {msgid: texts for msgid, texts in said.items() if len(texts) > 1} == {}


def test_phrases_are_found_in_code_templates_and_lessons() -> None:
    by_name = {folder.name: {found.msgid for found in phrases_of(folder)} for folder in parts()}
    assert "If you do nothing, tonight will kill nearly all %(part)s." in by_name["agri"]
    assert "I have seen this" in by_name["portal"]
    assert "Cold air is heavy. It flows downhill like water." in by_name["learning"]
