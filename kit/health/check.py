"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One finding of the doctor.

    Attributes:
        name: what was looked at.
        ok: whether it is all right.
        sentence: what was seen.
        todo: what to do about it; "" when nothing.
    """

    name: str
    ok: bool
    sentence: str
    todo: str = ""
