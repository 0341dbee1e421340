"""Short messages in few bytes: a letter costs what the two before it leave open.

A text is coded as its language (the one of five that makes it shortest, or none: plain UTF-8), its length, and its
letters, each under the statistics of what follows the two letters before it (`text_model.json`; where that is not
known, the one before; where that is not either, all). Capitals are the letter and a bit, for their place tells them.
Signs and digits stand where a space would. What belongs to none of this is spelled.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from sync.packing.coder import Bit, Coder, Decoder, Encoder
from sync.packing.errors import PackingError
from sync.packing.numbers import Lengths

LANGUAGES = ("en", "fr", "sw", "ar", "ne")
"""Their places are on the wire."""

MAX_TEXT = 4096
"""Characters that a decoder believes."""

LONGEST_LETTER = 4
"""Bytes of a character in UTF-8, at most."""

_PLAIN = 7
"""In place of a language: UTF-8 follows."""

_LANGUAGE_BITS = 3
_BYTE_BITS = 8
_SIGNS = ".,!?:;'-\n\"()/%°+0123456789،؟।’@&=*#"
_SIGN_WEIGHTS = (
    30,
    26,
    4,
    8,
    4,
    1,
    8,
    5,
    3,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    5,
    6,
    5,
    3,
    3,
    4,
    2,
    2,
    2,
    2,
    4,
    2,
    4,
    2,
    1,
    1,
    1,
    1,
    1,
)
_SIGN_SHARE_BITS = 3
"""An eighth of what would be a space is a sign."""

_WHOLE_BITS = 20
_WHOLE = 1 << _WHOLE_BITS
_FIRST_LEVEL = ord("!")
_HIGHEST = 0x110000
_HALVES = range(0xD800, 0xE000)
"""No characters: halves of one in UTF-16."""


class _Language:
    """The statistics of one language, as weights."""

    def __init__(self, told: dict[str, str]) -> None:
        self.alphabet = "".join(sorted({letter for follow in told.values() for letter in follow[::2]})) + _SIGNS
        self.places = {letter: at for at, letter in enumerate(self.alphabet)}
        self._follow = {context: _weights(follow) for context, follow in told.items()}
        self._made: dict[str, list[int]] = {}

    def below(self, before: str) -> list[int]:
        """The weights under each letter's place after these (lower-case) letters; the last place is what is spelled."""
        context = _context(before)
        if context not in self._made:
            self._made[context] = self._make(context)
        return self._made[context]

    def _make(self, context: str) -> list[int]:
        shares = self._shares(context)
        space = shares.get(" ", 0)
        signs = max(space >> _SIGN_SHARE_BITS, _WHOLE >> 8)
        if context[-1:] == "0":
            # behind a digit stands another, or a sign, as often as not
            signs = _WHOLE >> 1
        all_signs = sum(_SIGN_WEIGHTS)
        below = [0]
        for letter in self.alphabet:
            weight = shares.get(letter, 0)
            if letter in _SIGNS:
                weight += signs * _SIGN_WEIGHTS[_SIGNS.index(letter)] // all_signs
            below.append(below[-1] + weight + (_WHOLE >> 14))
        below.append(below[-1] + (_WHOLE >> 9))
        return below

    def _shares(self, context: str) -> dict[str, int]:
        """Of all that follows, out of `_WHOLE`: what is known, and of the rest what a shorter context says."""
        follow = self._follow.get(context, {})
        if not context:
            total = sum(follow.values())
            spaces = total >> 2  # the profiles do not count spaces by themselves; every fifth letter is one
            told = {letter: weight * _WHOLE // (total + spaces) for letter, weight in follow.items()}
            return told | {" ": spaces * _WHOLE // (total + spaces)}
        shorter = self._shares(context[1:])
        known = sum(follow.values())
        if not known:
            return shorter
        all_of_it = self._follow.get(context[:-1], {}).get(context[-1], 0)
        all_of_it = max(all_of_it, known + (known >> 5))
        rest = all_of_it - known
        return {
            letter: (follow.get(letter, 0) * _WHOLE + rest * shorter.get(letter, 0)) // all_of_it
            for letter in {*follow, *shorter}
        }


def _weights(follow: str) -> dict[str, int]:
    found = {}
    for letter, level in zip(follow[::2], follow[1::2], strict=True):
        half, odd = divmod(ord(level) - _FIRST_LEVEL, 2)
        found[letter] = (181 if odd else 128) << half >> 7
    return found


def _context(before: str) -> str:
    """What the next letter is judged by: the last two, where a sign is a space and a digit is 0."""
    return "".join("0" if letter.isdigit() else " " if letter in _SIGNS else letter for letter in before[-2:])


@cache
def _languages() -> tuple[_Language, ...]:
    told = json.loads(files("sync.packing").joinpath("text_model.json").read_text(encoding="utf-8"))
    return tuple(_Language(told["languages"][name]) for name in LANGUAGES)


def pack_text(text: str) -> bytes:
    """The text as bytes; never more than three longer than its UTF-8.

    Raises:
        PackingError: it has more than `MAX_TEXT` characters.
    """
    return _packed(text, best_language(text))


def _packed(text: str, choice: int) -> bytes:
    coder = Encoder()
    code_text(coder, text, choice)
    return coder.finish()


def unpack_text(packed: bytes) -> str:
    """The inverse of `pack_text`.

    Raises:
        PackingError: no encoder made these bytes.
    """
    coder = Decoder(packed)
    text = code_text(coder)
    coder.check_end()
    return text


def best_language(text: str) -> int:
    """The `choice` for `code_text` that makes it shortest."""
    choices: list[int] = [*range(len(LANGUAGES)), _PLAIN]
    return min(choices, key=lambda choice: len(_packed(text, choice)))


def code_text(coder: Coder, text: str = "", choice: int = _PLAIN, *, most: int = MAX_TEXT) -> str:
    """A text among other things that are coded; a decoder is told nothing.

    Raises:
        PackingError: the text is too long, or the bits make no sense.
    """
    choice = coder.raw(_LANGUAGE_BITS, choice)
    if choice == _PLAIN:
        return _code_plain(coder, text, most)
    if choice >= len(LANGUAGES):
        raise PackingError("the text is in a language that this version does not know; update it")
    count = _code_count(coder, len(text), most)
    language, case, far = _languages()[choice], _Case(), Lengths(7)
    lower, told = "  ", []
    for at in range(count):
        wanted = text[at] if text else ""
        plain = wanted.lower() if _has_case(wanted) else wanted
        below = language.below(lower)
        last = len(language.alphabet)
        place = coder.pick(below.__getitem__, 0, last, language.places.get(plain, last))
        if place == last:
            number = far.natural(coder, ord(wanted) if wanted else 0)
            if number >= _HIGHEST or number in _HALVES:
                raise PackingError("a letter that no alphabet has")
            letter = chr(number)
            told.append(letter)
            lower += letter.lower()[:1] or " "
        else:
            letter = language.alphabet[place]
            told.append(case.code(coder, letter, lower, wanted))
            lower += letter
    return "".join(told)


class _Case:
    """Whether a letter is a capital: learnt by where it stands."""

    def __init__(self) -> None:
        self._odds = {
            "start": Bit(1, 12), "sentence": Bit(1, 7), "word": Bit(12, 1), "inside": Bit(240, 1), "shouted": Bit(1, 1),
        }  # fmt: skip
        self._shouting = 0

    def code(self, coder: Coder, letter: str, before: str, wanted: str) -> str:
        """The letter as it was written."""
        if not _has_case(letter.upper()):
            return letter
        upper: int = coder.bit(self._odds[self._place(before)], int(wanted != letter and bool(wanted)))
        self._shouting = self._shouting + 1 if upper else 0
        return letter.upper() if upper else letter

    def _place(self, before: str) -> str:
        if len(before) <= 2:  # noqa: PLR2004 - the two spaces that every text begins behind
            return "start"
        if before[-1] in " \n":
            return "sentence" if before.rstrip()[-1:] in ".!?:" or before[-1] == "\n" else "word"
        return "shouted" if self._shouting else "inside"


def _has_case(letter: str) -> bool:
    """Whether it is a capital that is the same letter's, both ways."""
    lower = letter.lower()
    return letter != lower and len(lower) == 1 and lower.upper() == letter


def _code_plain(coder: Coder, text: str, most: int) -> str:
    data = text.encode("utf-8")
    count = _code_count(coder, len(data), most * LONGEST_LETTER)
    told = bytes(coder.raw(_BYTE_BITS, data[at] if data else 0) for at in range(count))
    try:
        return told.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackingError("the text is no UTF-8") from error


def _code_count(coder: Coder, count: int, most: int) -> int:
    count = Lengths(6).natural(coder, count)
    if count > most:
        raise PackingError(f"a text of {count} characters or bytes; at most {most} are believed")
    return count
