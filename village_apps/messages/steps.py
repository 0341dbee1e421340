"""How far a message has come, in the words its author reads. Pure.

Each step is said only once it is known; the last one, that a person has read it, only on that person's word.
"""

from __future__ import annotations

from dataclasses import dataclass

from village_apps.messages.letters import SentLetter
from village_apps.phrases import Phrase, phrase


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        text: what has happened, or is still to happen.
        at_ms: when, Unix ms; None = not yet.
    """

    text: Phrase
    at_ms: int | None

    @property
    def done(self) -> bool:
        """Whether it has happened."""
        return self.at_ms is not None


_LEFT: dict[tuple[str, ...], Phrase] = {
    ("lora",): phrase("Has left the village by radio"),
    ("cellular",): phrase("Has left the village by the mobile network"),
    ("https",): phrase("Has left the village by the mobile network"),
    ("relay",): phrase("Has left the village by way of another village"),
    ("stick",): phrase("Has left the village on a stick"),
}


def steps(sent: SentLetter) -> list[Step]:
    """From written to read. A later step that is known makes the earlier ones done, at its own time."""
    known: list[tuple[Phrase, Phrase, int | None]] = [
        (phrase("Kept safe in the village"), phrase("Kept safe in the village"), sent.written_ms),
        (
            _LEFT.get(sent.links, phrase("Has left the village")),
            phrase("Has not left the village yet"),
            sent.left_ms,
        ),
        (phrase("The city has it"), phrase("The city does not have it yet"), sent.accepted_ms),
    ]
    if sent.to:
        known.append(
            (phrase("The other village has it"), phrase("The other village does not have it yet"), sent.delivered_ms)
        )
    read = phrase("Read by %(name)s", name=sent.read_by) if sent.read_by else phrase("Somebody has read it")
    known.append((read, phrase("Nobody has read it yet"), sent.read_ms))
    told: list[Step] = []
    later: int | None = None
    for done, waiting, at_ms in reversed(known):
        later = at_ms if at_ms is not None else later
        told.append(Step(done if later is not None else waiting, later))
    return told[::-1]


def ending(sent: SentLetter, now_ms: int) -> Phrase | None:
    """Why it will come no further, for its author; None while it may."""
    if sent.read_ms is None and sent.delivered_ms is None and sent.undeliverable_ms is not None:
        return phrase("The city knows no such village any more, so it cannot be delivered. Nobody there has read it.")
    if not sent.expired(now_ms):
        return None
    if sent.to and sent.accepted_ms is not None:
        return phrase(
            "It ran out of time, and nobody said that it reached the other village. Write again if it still matters."
        )
    return phrase("It ran out of time and did not reach the city. Nobody has read it. Write again if it still matters.")
