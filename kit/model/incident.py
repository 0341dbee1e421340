"""What follows a warning: the message that takes its place, and the one that ends it. Pure.

Invariant: each refers to every message of its incident before it, so that whoever gets them in another order still
knows which one is the last word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kit.model.alert import Alert, AlertText, Certainty, MsgType, Severity, Urgency

ALL_CLEAR_STANDS_MS = 6 * 3_600_000
"""An all-clear is news for the morning, not for the next night."""


def cancel_of(
    last: Alert,
    *,
    sender: str,
    now_ms: int,
    infos: Sequence[AlertText] = (),
    parameters: Mapping[str, float | str] | None = None,
) -> Alert:
    """The end of the incident. Its identifier follows from the incident: there is one end, however often it is said.

    Args:
        last: the newest message about the danger.
        sender: who says so.
        now_ms: Unix ms.
        infos: its text.
        parameters: for programs.
    """
    return replace(
        last,
        identifier=f"{last.incident}-clear",
        sender=sender,
        sent_ms=now_ms,
        msg_type=MsgType.CANCEL,
        references=(*last.references, last.reference),
        urgency=Urgency.PAST,
        severity=Severity.MINOR,
        certainty=Certainty.OBSERVED,
        effective_ms=None,
        onset_ms=None,
        expires_ms=now_ms + ALL_CLEAR_STANDS_MS,
        infos=tuple(infos),
        parameters=dict(parameters or {}),
    )


def update_of(last: Alert, fresh: Alert) -> Alert:
    """The new message as one that takes the place of what was said before about the same danger."""
    return replace(fresh, msg_type=MsgType.UPDATE, references=(*last.references, last.reference))
