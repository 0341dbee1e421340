"""Messages between people: the body of a record of kind "message". Pure.

Short on purpose: 140 characters cross a radio in one frame. Line breaks stay; everything else that a terminal or a page
could obey is taken out when one is written and again when one is read, because whoever wrote it may be an enemy.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from kit.model.record_kinds import MESSAGE as KIND
from sync.packing.coder import Decoder, Encoder
from sync.packing.errors import PackingError
from sync.packing.text import best_language, code_text

__all__ = ["KIND", "Letter", "LetterError", "letter_body", "letter_from_body", "make_letter", "one_line", "tidy_name"]

FORM = 2
"""The first byte of a body; the CBOR of the first form begins with 0x83."""

LONGEST_TEXT = 500
"""Characters: two or three LoRa frames. A longer one is refused with a sentence, never cut."""

LONGEST_NAME = 40

LIFETIME_S = 7 * 24 * 3600
"""Unless its author chose otherwise. What has not left by then is said to have expired, to its author."""


_AUTHOR = 2
"""Place of the last field of the first form; a newer kit may have added more behind it."""


class LetterError(ValueError):
    """This cannot be a message; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What somebody wrote.

    Attributes:
        text: 1 to 500 characters.
        author: as they named themselves; may be empty.
    """

    text: str
    author: str = ""


def make_letter(text: str, author: str = "") -> Letter:
    """A message as it may be sent and shown.

    Raises:
        LetterError: it is empty or too long.
    """
    lines = [one_line(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    kept = "\n".join(lines).strip()
    if not kept:
        raise LetterError("the message is empty")
    if len(kept) > LONGEST_TEXT:
        raise LetterError(f"the message has {len(kept)} characters; at most {LONGEST_TEXT} can be sent")
    return Letter(text=kept, author=tidy_name(author))


def tidy_name(name: str) -> str:
    """A name on one line, cut to 40 characters."""
    return one_line(name)[:LONGEST_NAME].strip()


def letter_body(letter: Letter) -> bytes:
    """A byte 2, then text and author in packed bits (`sync.packing.text`): 140 characters are about 60 bytes."""
    coder = Encoder()
    choice = best_language(letter.text)
    code_text(coder, letter.text, choice)
    code_text(coder, letter.author, choice)
    return bytes([FORM]) + coder.finish()


def letter_from_body(body: bytes) -> Letter:
    """Read one, of this form or the first: CBOR, [1, text, author].

    Raises:
        LetterError: it is none.
    """
    if body[:1] != bytes([FORM]):
        return _first_form(body)
    coder = Decoder(body[1:])
    try:
        text = code_text(coder, most=LONGEST_TEXT)
        author = code_text(coder, most=LONGEST_NAME)
        coder.check_end()
    except PackingError as error:
        raise LetterError(f"the body is no message ({error})") from error
    return make_letter(text, author)


def _first_form(body: bytes) -> Letter:
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=4)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise LetterError(f"the body is no CBOR ({error})") from error
    if not isinstance(told, list) or told[:1] != [1] or len(told) <= _AUTHOR:
        raise LetterError("the body is no message that this version knows")
    text, author = told[1 : _AUTHOR + 1]
    if not isinstance(text, str) or not isinstance(author, str):
        raise LetterError("the body's fields are no text")
    return make_letter(text, author)


def one_line(line: str) -> str:
    """Without line breaks, and without what a terminal or a page could obey; single spaces."""
    kept = "".join(
        " " if unicodedata.category(letter)[0] in "CZ" and letter not in "\u200c\u200d" else letter for letter in line
    )
    return " ".join(kept.split())
