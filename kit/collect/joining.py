"""Letting a waiting device in: what it seems to speak, and the credentials that it gets with it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence

from kit.collect.dialects import dialects, recognise
from kit.collect.dialects.port import DialectError, Heard, Observation
from kit.errors import UsageError
from kit.model.grants import Grants
from kit.model.messages import Published
from kit.model.places import NOWHERE, Place
from kit.model.quantities import QUANTITIES, decimals
from kit.store.devices import add_device
from kit.store.joining import PREFIX, NobodyWaits, list_waiting, move_in, note_message

KITS_OWN = frozenset({"alerts", "status", "commands"})
"""First levels of topics on which only the kit's services publish."""

DISCOVERY = "homeassistant"
LOOKED_AT = 8
"""Of a waiting device's messages in one transaction, the last ones."""

READINGS_SHOWN = 3
LONGEST_TOPIC = 200
LONGEST_SUGGESTION = 24
_UNNAMED = re.compile(r"[^a-z0-9_-]+")


def check_base(base: str) -> str:
    """The base of a device's topics, if it may have it.

    Raises:
        UsageError: it may not; the sentence says why.
    """
    levels = base.split("/")
    if set(base) & set("+#\0") or base.startswith("$") or not all(levels):
        raise UsageError(f"'{base}' cannot be a device's topic: no +, #, leading $ or empty level")
    if levels[0] in KITS_OWN or base in {"homeassistant", "sensors", "tele", "stat", "cmnd"}:
        raise UsageError(f"'{base}' cannot be a device's topic: '{levels[0]}' is not one device's alone")
    return base


def accept(
    connection: sqlite3.Connection, number: int, name: str, *, now_ms: int, kind: str = "", place: Place | None = None
) -> str:
    """Let a waiting device in under a name; returns its kind. It needs no new password: see `kit.store.joining`.

    Args:
        connection: inside the caller's transaction.
        number: of the waiting device.
        name: what it is called from now on.
        now_ms: Unix ms.
        kind: what it speaks; "" = what it was recognised as.
        place: where it stands.

    Raises:
        NobodyWaits: there is none of that number.
        UsageError: it has said nothing that anybody understands, or the name cannot be used.
        KitError: the name or its topics belong to another device.
    """
    waiting = next((one for one in list_waiting(connection) if one.id == number), None)
    if waiting is None:
        raise NobodyWaits(f"no device waits under number {number}; `kit device waiting` shows who does")
    kind = kind or waiting.kind
    if kind not in dialects():
        raise UsageError(
            "it has said nothing yet by which its kind could be told; wait for a reading, "
            f"or say the kind: {', '.join(dialects())}"
        )
    dialect = dialects()[kind]
    base = check_base(waiting.base if waiting.base and kind == waiting.kind else dialect.base(name))
    grants = dialect.grants(base)
    if waiting.open:
        # who is not known by a password is told nothing: it could be anybody
        grants = Grants(publish=grants.publish, hear=grants.hear)
    add_device(connection, name, kind=kind, base=base, grants=grants, place=place or NOWHERE, now_ms=now_ms)
    move_in(connection, number, name)
    return kind


def suggest_name(topic: str, client_id: str, taken: Sequence[str]) -> str:
    """A name for a new device out of what it calls itself; one that is still free."""
    found = recognise(topic, b"") if topic else None
    base = found[1].rpartition("/")[2] if found is not None else client_id
    name = _UNNAMED.sub("-", base.lower()).strip("-_")[:LONGEST_SUGGESTION].removeprefix("kit-") or "sensor"
    return next(free for free in (name, *(f"{name}-{number}" for number in range(2, 1000))) if free not in taken)


class Waiters:
    """What the waiting devices of one transaction said last."""

    def __init__(self) -> None:
        self._said: dict[int, list[Published]] = {}

    def begin(self) -> None:
        """Forget what an earlier transaction left."""
        self._said.clear()

    def takes(self, published: Published) -> bool:
        """Whether it comes from a device that waits; then it is kept here and is no reading."""
        if not published.username.startswith(PREFIX):
            return False
        self._said.setdefault(int(published.username[len(PREFIX) :]), []).append(published)
        return True

    def write(self, connection: sqlite3.Connection) -> None:
        """Write down the last message of each, and what it was recognised as."""
        for number, messages in self._said.items():
            # a stranger that talks without end must not cost the others their time
            told = [_recognised(message) for message in messages[-LOOKED_AT:]]
            spoken = [one for one, _ in told if one is not None]
            # a discovery says where readings will be; a reading says more
            surest = next((one for one in spoken if one[0] != DISCOVERY), spoken[0] if spoken else None)
            note_message(
                connection,
                number,
                at_ms=messages[-1].received_ms,
                messages=len(messages),
                topic=messages[-1].topic[:LONGEST_TOPIC],
                spoken=surest,
                sure=surest is not None and surest[0] != DISCOVERY,
                reading=next((words for _, words in reversed(told) if words), ""),
            )


def _recognised(message: Published) -> tuple[tuple[str, str] | None, str]:
    """The kind and base, and the readings in words."""
    found = recognise(message.topic, message.payload)
    if found is None:
        return None, ""
    dialect, base = found
    own = (wanted.removesuffix("/#") for wanted in dialect.grants(base).publish)
    below = next(
        (message.topic[len(o) + 1 :] for o in own if message.topic == o or message.topic.startswith(o + "/")), None
    )
    try:
        observations = dialect.parse(Heard(message.topic, message.payload, below, base)).observations
    except DialectError:
        observations = ()
    return (dialect.name, base), _words(observations)


def _words(observations: Sequence[Observation]) -> str:
    known: Mapping[str, object] = QUANTITIES
    first = sorted(observations, key=lambda one: one.quantity.partition(":")[0] not in known)[:READINGS_SHOWN]
    return ", ".join(f"{one.quantity} {one.value:.{decimals(one.quantity)}f} {one.unit}".strip() for one in first)
