"""Reading gettext's `.po` files; pure.

Babel reads them, too, and `script/phrases` writes them with it; but it brings e-mail and locale tables along, three
megabytes in each process that says a sentence, and takes ten times as long.

Format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])?\s*(".*)')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_PLURAL = re.compile(r"plural\s*=\s*([^;]+)")


@dataclass(frozen=True)
class PoFile:
    """What a file holds.

    Attributes:
        messages: English → translation; for a phrase that counts, one translation per plural form. Those that nobody
            has translated, or that are marked as a guess ("fuzzy"), are not in it.
        header: the fields of the entry without a msgid, such as "Plural-Forms".
    """

    messages: Mapping[str, str | tuple[str, ...]]
    header: Mapping[str, str]

    @property
    def plural_expression(self) -> str | None:
        """Which plural form a number `n` takes, in C; None where the file does not say."""
        found = _PLURAL.search(self.header.get("Plural-Forms", "").partition(";")[2])
        return found[1].strip() if found else None


@dataclass
class _Entry:
    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    fuzzy: bool = False

    @property
    def is_translated(self) -> bool:
        """Whether its msgstr has been read: what follows begins another."""
        return any(keyword == "msgstr" for keyword, _ in self.texts)


def read_po(text: str) -> PoFile:
    """Read a whole file.

    Raises:
        ValueError: a line is none of such a file; the sentence names it.
    """
    messages: dict[str, str | tuple[str, ...]] = {}
    header: dict[str, str] = {}
    for entry in _entries(text):
        said = entry.texts.get(("msgid", 0))
        if said is None:
            continue
        forms = [entry.texts[key] for key in sorted(entry.texts) if key[0] == "msgstr"]
        if said == "":
            header = dict(_fields(forms[0] if forms else ""))
        elif entry.fuzzy:
            continue  # a guess that nobody has read yet
        elif ("msgid_plural", 0) in entry.texts:
            messages[said] = tuple(forms)
        elif forms and forms[0]:
            messages[said] = forms[0]
    return PoFile(messages, header)


def _entries(text: str) -> Iterator[_Entry]:
    entry, at = _Entry(), None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if (not line or line.startswith(("#", "msgid ", "msgctxt "))) and entry.is_translated:
            yield entry
            entry, at = _Entry(), None
        if not line:
            continue
        if line.startswith("#"):
            entry.fuzzy |= line.startswith("#,") and "fuzzy" in line
            continue
        keyword = _KEYWORD.fullmatch(line)
        if keyword:
            at = (keyword[1], int(keyword[2] or 0))
        elif at is None:
            raise ValueError(f"line {number} is no line of a catalogue: {line[:60]}")
        entry.texts[at] = entry.texts.get(at, "") + _unquoted(keyword[3] if keyword else line, number)
    yield entry


def _unquoted(quoted: str, number: int) -> str:
    found = _QUOTED.fullmatch(quoted)
    if found is None:
        raise ValueError(f"line {number} has no text in quotes: {quoted[:60]}")
    return _ESCAPE.sub(lambda escaped: _ESCAPES.get(escaped[1], escaped[1]), found[1])


def _fields(header: str) -> Iterator[tuple[str, str]]:
    for line in header.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()
