"""Which language a page is shown in.

The reader's own choice (`?lang=`, kept in a cookie) goes before what the phone asks for (`Accept-Language`), and that
before the village's usual language. Addresses do not depend on the language, so that a link that is passed on opens in
the language of whoever opens it.
"""

from __future__ import annotations

from collections.abc import Sequence

COOKIE = "lang"
ARGUMENT = "lang"
COOKIE_AGE_S = 365 * 24 * 3600


def choose_language(
    offered: Sequence[str], *, argument: str | None, cookie: str | None, accept_language: str | None
) -> str:
    """The best of the offered languages; the first of them is the village's usual one.

    Args:
        offered: language codes, the usual one first.
        argument: what `?lang=` says, if anything.
        cookie: what the reader chose before.
        accept_language: the header as the phone sent it (RFC 9110, 12.5.4).
    """
    for wish in (argument, cookie):
        if wish is not None and wish in offered:
            return wish
    for wish in wished_languages(accept_language or ""):
        if wish in offered:
            return wish
        short = wish.split("-", 1)[0]
        if short in offered:
            return short
    return offered[0]


def wished_languages(header: str) -> list[str]:
    """The languages of an `Accept-Language` header, the most wished for first; nonsense is left out."""
    wishes: list[tuple[float, int, str]] = []
    for place, item in enumerate(header.split(",")[:20]):
        name, _, weight = item.partition(";")
        quality = _quality(weight)
        if name.strip() and quality > 0:
            wishes.append((-quality, place, name.strip().lower()))
    return [name for _, _, name in sorted(wishes)]


def _quality(text: str) -> float:
    text = text.strip().removeprefix("q=")
    if not text:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
