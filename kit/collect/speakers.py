"""Who speaks on a topic, and in which dialect: the devices' table, kept in memory between its changes.

A message of the kit's own broker comes with the user who signed in; it is read as that device's, by the dialect the
device was added with. A message of an external broker has no such user: there the topic alone decides, first by the
devices' own topics, then by `sensors/<device>`, which needs no registration.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kit.collect.dialects import NATIVE, discovery, meshtastic
from kit.collect.dialects.port import Dialect, DialectError, Heard, Parsed, ReadsRuns, Run
from kit.collect.dialects.senml import PREFIX, SenMLDialect
from kit.model.messages import MESH as MESH  # noqa: PLC0414 - whoever reads readings of radios looks here
from kit.model.messages import Published
from kit.store.devices import CHANGED, grants_of, list_devices
from kit.store.learned import learned_by

PARTS_PER_GATEWAY = 250
"""Devices behind a gateway; one that invents names without end must not fill the disk."""

ROUTES_REMEMBERED = 4_096
"""Users and topics, with who that is; a device speaks on the same few for years."""

OWNERS_REMEMBERED = 4_096
"""Topics at an external broker, with the device whose own they are."""


MESH_USER = "kit-radio"
MESH_TOPIC = "msh/mesh"


_new = tuple.__new__
"""Makes a named tuple at half the price."""


VERSION = f"(SELECT version FROM changes WHERE subject = '{CHANGED}')"  # noqa: S608 - our constant
"""Of the devices' table."""


class Room(Enum):
    """Whether there is room for a device behind a gateway."""

    TAKEN = "it has its place"
    NEW = "it was given one"
    NONE = "there is none"


@dataclass(slots=True)
class Speaker:
    """A device that may speak.

    Attributes:
        own: where its own topics begin, each without the `/#`.
        known: what it taught; None = not looked up yet.
        parts: the devices behind it that have been heard; None = not looked up yet.
        reads_runs: its dialect, if that reads many messages at once.
    """

    device: str
    dialect: Dialect
    base: str
    own: tuple[str, ...]
    known: dict[str, str] | None = None
    parts: set[str] | None = field(default=None)
    reads_runs: ReadsRuns | None = field(init=False)

    def __post_init__(self) -> None:
        """Ask the dialect once what it can do: for each run that would take longer than a message."""
        self.reads_runs = self.dialect if isinstance(self.dialect, ReadsRuns) else None

    def below(self, topic: str) -> str | None:
        """What follows its own topic; None if the topic is not its own."""
        return next((topic[len(own) + 1 :] for own in self.own if f"{topic}/".startswith(f"{own}/")), None)

    def heard(self, connection: sqlite3.Connection, topic: str, payload: bytes, below: str | None) -> Heard:
        """The message, as its dialect wants it; `below` from `Route`."""
        if self.known is None:
            self.known = learned_by(connection, self.device)
        return _new(Heard, (topic, payload, below, self.base, self.known))

    def admits(self, connection: sqlite3.Connection, part: str) -> Room:
        """Whether there is room for this device behind it."""
        if self.parts is None:
            rows = connection.execute(
                "SELECT device FROM heard_devices WHERE device > ? AND device < ?",
                (f"{self.device}/", f"{self.device}0"),  # "0" is the character behind "/"
            )
            self.parts = {str(row[0]).partition("/")[2] for row in rows}
        if part in self.parts:
            return Room.TAKEN
        if len(self.parts) >= PARTS_PER_GATEWAY:
            return Room.NONE
        self.parts.add(part)
        return Room.NEW


class Route(NamedTuple):
    """Whose a user's messages on a topic are.

    Attributes:
        speaker: who says it; one named "" forgot its name.
        below: what follows its own topic; None if the topic is not its own.
    """

    speaker: Speaker
    below: str | None


class _Missing(SenMLDialect):
    """Stands in for a dialect whose package is gone: what its devices say is kept for the technician, not dropped."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def parse(self, heard: Heard) -> Parsed:
        """Say what is missing."""
        del heard
        raise DialectError(f"the dialect '{self._kind}' is not installed here any more; see kit device kinds")

    def read_run(self, topic: str, payloads: Sequence[bytes], at: int) -> Run | None:
        """Nothing: `parse` says why."""
        del topic, payloads, at
        return None


class Speakers:
    """The devices of the store.

    Args:
        dialects: every dialect by its name.
    """

    def __init__(self, dialects: Mapping[str, Dialect]) -> None:
        self._dialects = dialects
        self._version: int | None = None
        self._routes: dict[tuple[str, str], Route] = {}
        self._speakers: dict[str, Speaker] = {}
        self._passing: dict[str, Speaker] = {}
        self._owners: dict[str, Speaker | None] = {}
        self._mesh = Speaker(MESH, meshtastic.DIALECT, MESH_TOPIC, (MESH_TOPIC,), known={})

    def begin(self, connection: sqlite3.Connection, version: int | None) -> None:
        """Look whether a device was added, changed or removed since the last transaction.

        Args:
            connection: inside the transaction.
            version: what `VERSION` is in it.
        """
        version = version or 0
        if version != self._version:
            self._speakers = {
                device.name: self._speaker(connection, device.name, device.kind, device.base)
                for device in list_devices(connection)
            }
            for found in (self._passing, self._owners, self._routes):
                found.clear()
            self._version = version

    def forget_changes(self) -> None:
        """What was learned in a transaction that may have been rolled back is looked up again."""
        for speaker in (*self._speakers.values(), *self._passing.values()):
            speaker.known = speaker.parts = None
        self._mesh.parts = None

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """What `find` found so far, by user and topic."""
        return self._routes

    def find(self, published: Published) -> Route | None:
        """Who said this; None if nobody whose words are readings."""
        speaker = self._who(published)
        if speaker is None:
            return None
        route = Route(speaker, speaker.below(published.topic))
        if published.username or not discovery.is_discovery(published.topic):  # which is about whom its payload names
            if len(self._routes) >= ROUTES_REMEMBERED:
                self._routes.clear()
            self._routes[published.username, published.topic] = route
        return route

    def _who(self, published: Published) -> Speaker | None:
        if published.username == MESH_USER:
            return self._mesh
        signed_in = self._speakers.get(published.username)
        if signed_in is not None:
            return signed_in
        by_topic = self._whose(published.topic)
        if by_topic is not None:
            return by_topic
        if not published.username and discovery.is_discovery(published.topic):
            return self._announced(published)
        if not published.topic.startswith(PREFIX):
            return None
        name = published.topic[len(PREFIX) :].partition("/")[0]
        if name not in self._passing:
            if len(self._passing) > PARTS_PER_GATEWAY:
                self._passing.clear()
                self._routes.clear()
            self._passing[name] = Speaker(name, NATIVE, PREFIX + name, (PREFIX + name,))
        return self._passing[name]

    def _whose(self, topic: str) -> Speaker | None:
        """Whose own topic it is."""
        if topic not in self._owners:
            if len(self._owners) >= OWNERS_REMEMBERED:
                self._owners.clear()
            self._owners[topic] = next((s for s in self._speakers.values() if s.below(topic) is not None), None)
        return self._owners[topic]

    def _announced(self, published: Published) -> Speaker | None:
        """Whose topics a discovery at an external broker is about."""
        topics = [sensor.topic for sensor in discovery.announced(published.topic, published.payload)]
        return next((s for s in self._speakers.values() if any(s.below(t) is not None for t in topics)), None)

    def _speaker(self, connection: sqlite3.Connection, name: str, kind: str, base: str) -> Speaker:
        dialect = self._dialects.get(kind) or _Missing(kind)
        own = tuple(wanted.removesuffix("/#") for wanted in grants_of(connection, name).publish)
        return Speaker(name, dialect, base or dialect.base(name), own)
