"""Messages between people: the body of a record of kind "message". Pure.

Short on purpose: 140 characters cross a radio in one frame. Line breaks stay; everything else that a terminal or a page
could obey is taken out when one is written and again when one is read, because whoever wrote it may be an enemy.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

KIND = "message"

LONGEST_TEXT = 500
"""Characters: two or three LoRa frames. A longer one is refused with a sentence, never cut."""

LONGEST_NAME = 40

LIFETIME_S = 7 * 24 * 3600
"""Unless its author chose otherwise. What has not left by then is said to have expired, to its author."""


_AUTHOR = 2
"""Place of the last field that this version knows; a newer one may add more behind it."""


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
    lines = [_clean(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    kept = "\n".join(lines).strip()
    if not kept:
        raise LetterError("the message is empty")
    if len(kept) > LONGEST_TEXT:
        raise LetterError(f"the message has {len(kept)} characters; at most {LONGEST_TEXT} can be sent")
    return Letter(text=kept, author=tidy_name(author))


def tidy_name(name: str) -> str:
    """A name on one line, cut to 40 characters."""
    return _clean(name)[:LONGEST_NAME].strip()


def letter_body(letter: Letter) -> bytes:
    """As CBOR: [1, text, author]."""
    import cbor2

    return cbor2.dumps([1, letter.text, letter.author])


def letter_from_body(body: bytes) -> Letter:
    """Read one.

    Raises:
        LetterError: it is none.
    """
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


def _clean(line: str) -> str:
    kept = "".join(
        " " if unicodedata.category(letter)[0] in "CZ" and letter not in "\u200c\u200d" else letter for letter in line
    )
    return " ".join(kept.split())
