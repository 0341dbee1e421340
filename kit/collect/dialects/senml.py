"""The native dialect: SenML (RFC 8428), JSON or CBOR, on `sensors/<device>` or below.

A record's name says what is measured, in whatever words the device's maker chose (`temp`, `urn:dev:ow:10e2…:voltage`,
`Air Temperature`). Where the name is not known, the last word of the topic is tried, then the unit. Where several
names of one message mean the same quantity, each gets its own series: `temperature:probe1`, `temperature:probe2`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from kit.collect.dialects.port import (
    Access,
    DialectError,
    Guide,
    Heard,
    Look,
    Observation,
    Parsed,
    Run,
    Setting,
    Values,
    plain_settings,
)
from kit.model.grants import ALERTS, Grants, native_grants
from kit.model.quantities import QUANTITIES, convert, plain_name, recognise_name, recognise_unit, spell_unit
from kit.model.readings import Raw
from kit.model.senml import SenMLError, parse_senml
from kit.model.senml_shape import Shape, learn_shape

PREFIX = "sensors/"
_GENERIC = frozenset({"", "data", "senml", "telemetry", "state", "readings", "json", "cbor", "values"})
"""Words at the end of a topic that say nothing about what is measured."""

_SEPARATORS = re.compile(r"[:/;]")
UNNAMED = "value"
SHAPES_PER_TOPIC = 4
TOPICS_REMEMBERED = 512
"""A few kilobytes each. A device says one or two kinds of message; one that never says the same twice is parsed."""

_new = tuple.__new__
"""Makes a named tuple at half the price."""


class _Meaning(NamedTuple):
    """What a record's name and unit mean: the quantity, the stored unit, and whether the quantity is of the table."""

    quantity: str
    unit: str
    known: bool


class SenMLDialect:
    """See the module."""

    name = "native"
    guide = Guide(
        title="SenML (the kit's own)",
        what="boards that you program yourself, and the kit's own stations",
        where="your program",
        reads="`sensors/<name>` and below; JSON or CBOR (RFC 8428)",
        notes=("Publish with QoS 1: the acknowledgement comes after the reading is on the disk.",),
        sources=("https://www.rfc-editor.org/rfc/rfc8428",),
    )

    def base(self, name: str) -> str:
        """`sensors/` and its name."""
        return PREFIX + name

    def grants(self, base: str) -> Grants:
        """All below its own topic."""
        if base.startswith(PREFIX):
            return native_grants(base.removeprefix(PREFIX))
        return Grants(publish=(f"{base}/#",), read=(ALERTS,))

    def settings(self, base: str, access: Access) -> list[Setting]:
        """What a program needs."""
        return plain_settings(access, base.replace("/", "-"), Setting("Topic", base))

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the first level, or by what the message is."""
        if topic.startswith(PREFIX) and topic != PREFIX:
            return "/".join(topic.split("/")[:2])
        try:
            return topic if parse_senml(payload).records else None
        except SenMLError:
            return None

    def parse(self, heard: Heard) -> Parsed:
        """Read a pack."""
        known = _PACKS.read(heard.topic, heard.payload)
        if known is not None:
            return known
        try:
            records, ignored = parse_senml(heard.payload)
        except SenMLError as error:
            raise DialectError(str(error)) from None
        below = heard.below or ""
        names = _name_series(tuple(dict.fromkeys((r.name, r.unit) for r in records)), below)
        meanings = [names[record.name, record.unit] for record in records]
        if not ignored:
            _PACKS.learn(heard.topic, heard.payload, meanings)
        return Parsed(
            [_observe(*record[1:], meaning) for record, meaning in zip(records, meanings, strict=True)], ignored
        )

    def read_run(self, topic: str, payloads: Sequence[bytes], at: int) -> Run | None:
        """Read messages that look like an earlier one."""
        return _PACKS.read_run(topic, payloads, at)


DIALECT = SenMLDialect()


class _Pack:
    """A shape, and what its places mean. How it is read is decided once: nearly every message comes this way."""

    def __init__(self, shape: Shape, meanings: list[_Meaning]) -> None:
        self._shape, self._meanings = shape, meanings
        as_told = all(p.unit in ("", m.unit) or not m.known for p, m in zip(shape.places, meanings, strict=True))
        self._look: Look | None = None
        if as_told and shape.undated:
            self._look = Look([(m.quantity, m.unit, p.since_s) for p, m in zip(shape.places, meanings, strict=True)])

    def read(self, payload: bytes) -> Sequence[Observation] | None:
        """The observations of a message; None if it looks otherwise."""
        if self._look is not None:
            values = self._shape.values(payload)
            return None if values is None else Values(self._look, values)
        found = self._shape.read(payload)
        if found is None:
            return None
        places = zip(self._shape.places, found, self._meanings, strict=True)
        return [_observe(place.unit, *one, meaning) for place, one, meaning in places]

    def read_run(self, payloads: Sequence[bytes], at: int) -> Run | None:
        """The values of the messages from `at` on that look so; None if the first looks otherwise."""
        if self._look is None:
            return None
        columns = self._shape.columns(payloads, at)
        return _new(Run, (self._look, columns)) if columns else None


class _Packs:
    """What each topic's messages look like, so that only their numbers have to be read."""

    def __init__(self) -> None:
        self._known: dict[str, list[_Pack]] = {}
        self._tries: dict[str, int] = {}

    def read(self, topic: str, payload: bytes) -> Parsed | None:
        """The observations of a message that looks like an earlier one; None if it has to be parsed."""
        for pack in self._known.get(topic, ()):
            found = pack.read(payload)
            if found is not None:
                return _new(Parsed, (found, (), {}))
        return None

    def read_run(self, topic: str, payloads: Sequence[bytes], at: int) -> Run | None:
        """See `ReadsRuns`."""
        for pack in self._known.get(topic, ()):
            found = pack.read_run(payloads, at)
            if found is not None:
                return found
        return None

    def learn(self, topic: str, payload: bytes, meanings: list[_Meaning]) -> None:
        """Look at a message that was parsed, unless the topic's messages have all been different so far."""
        tries = self._tries.get(topic, 0)
        if tries >= SHAPES_PER_TOPIC:
            return
        if len(self._tries) >= TOPICS_REMEMBERED:
            self._known.clear()
            self._tries.clear()
        self._tries[topic] = tries + 1
        shape = learn_shape(payload)
        if shape is not None:
            self._known.setdefault(topic, []).append(_Pack(shape, meanings))


_PACKS = _Packs()


def _observe(unit: str, value: float, time_s: float, relative: bool, meaning: _Meaning) -> Observation:  # noqa: FBT001 - a record's fields, once for every value the kit ever keeps
    quantity, kept_unit, known = meaning
    if unit == kept_unit or not known:
        return Observation(quantity, kept_unit, value, time_s, relative)
    converted = convert(value, unit, kept_unit)
    if converted is None:
        return Observation(quantity, spell_unit(unit), value, time_s, relative, unit_unknown=True)
    return Observation(
        quantity, kept_unit, converted, time_s, relative, Raw(value, unit) if converted != value else None
    )


@lru_cache(maxsize=1024)
def _name_series(named: tuple[tuple[str, str], ...], below: str) -> dict[tuple[str, str], _Meaning]:
    """The series for each (name, unit) of a message; a sensor always sends the same, so the cache answers."""
    last = below.rpartition("/")[2]
    meanings = {pair: _meaning(*pair, last) for pair in named}
    label = plain_name(below.replace("/", "_"))
    if label in _GENERIC or recognise_name(last) in {meaning.quantity for meaning in meanings.values()}:
        label = ""
    by_quantity: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pair, meaning in meanings.items():
        by_quantity.setdefault((meaning.quantity, meaning.unit), []).append(pair)
    return {
        pair: meaning._replace(quantity=_with_label(meaning.quantity, label, own))
        for group in by_quantity.values()
        for pair, own in _tell_apart(group).items()
        for meaning in (meanings[pair],)
    }


def _with_label(quantity: str, *labels: str) -> str:
    return ":".join((quantity, "_".join(label for label in labels if label))).rstrip(":")


def _tell_apart(group: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A label for each of the names that mean one quantity; none for a single one, or for the one in plain words."""
    if len(group) == 1:
        return {group[0]: ""}
    last_words = [plain_name(_last_word(name)) for name, _ in group]
    if len(set(last_words)) < len(group):
        return {pair: plain_name(pair[0]) for pair in group}
    return {pair: "" if word in QUANTITIES else word for pair, word in zip(group, last_words, strict=True)}


def _meaning(name: str, unit: str, topic_word: str) -> _Meaning:
    quantity = (
        recognise_name(name)
        or recognise_name(_last_word(name))
        or recognise_name(topic_word)
        or (recognise_unit(unit) if unit else None)
    )
    if quantity is not None:
        return _Meaning(quantity, QUANTITIES[quantity].unit, known=True)
    return _Meaning(plain_name(_last_word(name)) or UNNAMED, spell_unit(unit), known=False)


def _last_word(name: str) -> str:
    """`urn:dev:ow:10e2073a0108006:voltage` → `voltage`; RFC 9039 puts it behind `_` within the URN."""
    word = _SEPARATORS.split(name)[-1]
    if name.startswith("urn:") and recognise_name(word) is None:
        return word.partition("_")[2] or word
    return word
