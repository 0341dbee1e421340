"""The join code: eight letters and digits by which an unknown device asks to be let in. Pure.

Read from a screen and typed into a device's settings page with a thumb, so there is nothing in it that looks like
something else (no 0 O, 1 I L, U V), and case and hyphens do not matter. 30^8 codes are 39 bits: whoever tries one a
second meets the right one in ten thousand years, and the door stops them after a handful.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8
VALID_MS = 3_600_000
"""An hour: long enough to walk to the river with it; a photograph of the screen is soon worth nothing."""

_GAPS = re.compile(r"[\s-]+")


def make_code(choose: Callable[[Sequence[str]], str]) -> str:
    """A new code; `choose` picks one of a sequence, unpredictably (`secrets.choice`)."""
    return "".join(choose(ALPHABET) for _ in range(LENGTH))


def read_code(text: str) -> str | None:
    """The code that a person typed; None if it cannot be one."""
    code = _GAPS.sub("", text[:64]).upper()
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None


def shown(code: str) -> str:
    """As it is read out: `KXQM-7TRB`."""
    return f"{code[:4]}-{code[4:]}"
