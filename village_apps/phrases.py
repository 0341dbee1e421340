"""Every sentence a villager reads, in every language it exists in.

Phrases are written in English in the code and the templates (`_("…")`) and translated in gettext catalogues,
`<language>.po`, one folder per app. The catalogues are read as text when a process starts: no compiled `.mo` files that
can be older than what they were made from. A phrase without a translation is shown in English: a warning that is half
understood is better than none.

Usable outside the web frame, too: the frost service says its warning in Swahili with the same catalogues.

Placeholders are `%(name)s`; a literal per cent sign is written `%%`, always, as in Jinja's new-style gettext.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

SOURCE_LANGUAGE = "en"
"""What the phrases are written in."""

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "ur"})
"""Languages whose pages run from right to left."""

LANGUAGE_NAMES: Mapping[str, str] = {
    "ar": "العربية",
    "en": "English",
    "fr": "Français",
    "ne": "नेपाली",
    "sw": "Kiswahili",
}
"""Each language by its own name, which is the one its readers look for."""


@dataclass(frozen=True)
class Phrase:
    """A sentence that is not yet in any language: what pure code returns, and a page says.

    Attributes:
        msgid: the English phrase with its placeholders.
        values: what stands in the placeholders; a value that is itself a `Phrase` is translated, too.
    """

    msgid: str
    values: Mapping[str, object] = field(default_factory=dict)


def phrase(msgid: str, **values: object) -> Phrase:
    """Mark a sentence for translation (`script/phrases` finds the call) without choosing a language yet."""
    return Phrase(msgid, values)


@dataclass(frozen=True)
class Catalogue:
    """The phrases of one language.

    Attributes:
        messages: English → translation; for a phrase that counts, one translation per plural form.
        plural: which plural form a number takes.
    """

    messages: Mapping[str, str | tuple[str, ...]]
    plural: Callable[[int], int]


def _english_plural(number: int) -> int:
    return 0 if number == 1 else 1


class Phrases:
    """Catalogues by language."""

    def __init__(self, catalogues: Mapping[str, Catalogue]) -> None:
        self._catalogues = dict(catalogues)

    @classmethod
    def load(cls, folders: Iterable[Path]) -> Self:
        """Read every `<language>.po` below these folders; where two translate the same phrase, the first one holds.

        Raises:
            OSError: a folder's file cannot be read.
            ValueError: a file is no gettext catalogue.
        """
        catalogues: dict[str, Catalogue] = {}
        for folder in folders:
            for file in sorted(folder.glob("*.po")):
                new = _read_po(file)
                old = catalogues.get(file.stem)
                merged = {**new.messages, **old.messages} if old else new.messages
                catalogues[file.stem] = Catalogue(merged, old.plural if old else new.plural)
        return cls(catalogues)

    @property
    def languages(self) -> tuple[str, ...]:
        """English first, then the others that have a catalogue."""
        return (SOURCE_LANGUAGE, *sorted(set(self._catalogues) - {SOURCE_LANGUAGE}))

    def gettext(self, language: str, msgid: str, **values: object) -> str:
        """The phrase in that language, filled in; in English where there is no translation."""
        return self.translate(language, msgid) % self._said(language, values)

    def ngettext(self, language: str, singular: str, plural: str, number: int, **values: object) -> str:
        """As `gettext`, in the form that goes with `number`, which also fills `%(num)s`."""
        text = self.translate_number(language, singular, plural, number)
        return text % self._said(language, {"num": number, **values})

    def say(self, language: str, said: Phrase) -> str:
        """A `Phrase` in that language."""
        return self.gettext(language, said.msgid, **said.values)

    def translate(self, language: str, msgid: str) -> str:
        """The phrase in that language, placeholders untouched."""
        catalogue = self._catalogues.get(language)
        found = catalogue.messages.get(msgid, "") if catalogue else ""
        text = found[0] if isinstance(found, tuple) else found
        return text or msgid

    def translate_number(self, language: str, singular: str, plural: str, number: int) -> str:
        """As `translate`, in the form that goes with `number`."""
        catalogue = self._catalogues.get(language)
        found = catalogue.messages.get(singular) if catalogue else None
        if catalogue and isinstance(found, tuple):
            form = catalogue.plural(number)
            if form < len(found) and found[form]:
                return found[form]
        return (singular, plural)[_english_plural(number)]

    def _said(self, language: str, values: Mapping[str, object]) -> dict[str, object]:
        return {
            name: self.say(language, value) if isinstance(value, Phrase) else value for name, value in values.items()
        }


@cache
def phrases_in(*folders: Path) -> Phrases:
    """`Phrases.load`, once per process for the same folders."""
    return Phrases.load(folders)


def direction(language: str) -> str:
    """`"rtl"` or `"ltr"`, as HTML's `dir` wants it."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _read_po(file: Path) -> Catalogue:
    from gettext import c2py

    from babel.messages.pofile import PoFileError, read_po

    try:
        with file.open("rb") as stream:
            catalogue = read_po(stream, locale=file.stem, abort_invalid=True)
    except PoFileError as error:
        raise ValueError(f"{file} is not a gettext catalogue: {error}") from error
    messages: dict[str, str | tuple[str, ...]] = {}
    for message in catalogue:
        if not message.id or message.fuzzy:  # a fuzzy translation is a guess that nobody has read yet
            continue
        if isinstance(message.id, (tuple, list)):
            messages[message.id[0]] = tuple(message.string or ())
        elif isinstance(message.string, str) and message.string:
            messages[message.id] = message.string
    return Catalogue(messages, c2py(catalogue.plural_expr))
