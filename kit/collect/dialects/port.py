"""The port of a dialect: a topic and a payload in, observations out; pure, and safe against any bytes.

A dialect knows nothing of devices, passwords or the store. It says which topics a device of a name needs (they become
part of its credentials), what to type into that device, and what its messages mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from kit.model.grants import ALERTS, Grants
from kit.model.readings import Raw

MAX_BYTES = 65_536
"""Of a payload; what is larger is no sensor."""


class DialectError(ValueError):
    """The message is not what the dialect expects; the sentence is for the technician."""


class Observation(NamedTuple):
    """A value as a dialect understood it, before the kit has judged it.

    Attributes:
        quantity: a name of `kit.model.quantities`, perhaps with a label (`temperature:probe2`), or the device's own.
        unit: SenML symbol.
        value: finite.
        time_s: Unix seconds, or seconds relative to the arrival where `relative`.
        relative: the device gave no time of its own.
        raw: what the device said, if it was converted.
        unit_unknown: the quantity is known, its unit is not; the value is as it came.
        part: behind a gateway, the device that measured it; "" = the speaker itself.
    """

    quantity: str
    unit: str
    value: float
    time_s: float
    relative: bool
    raw: Raw | None = None
    unit_unknown: bool = False
    part: str = ""


class Heard(NamedTuple):
    """A message as its dialect gets it.

    Attributes:
        topic: as published.
        payload: untouched bytes.
        below: what follows the speaker's own topic: of `tele/pump/SENSOR` it is `SENSOR`; None if the topic is not
            the speaker's own but one that its dialect only says (a discovery message).
        base: where the speaker's topics begin, as `Dialect.base` has it.
        known: what earlier messages of this speaker taught, by key; see `Parsed.learned`.
    """

    topic: str
    payload: bytes
    below: str | None
    base: str = ""
    known: Mapping[str, str] = {}


class Look:
    """What all messages have in common that differ in their values only.

    Attributes:
        places: for each value the quantity, the unit that it is kept in, and by how many seconds it is older than its
            message (a number below zero, or zero).
    """

    __slots__ = ("places",)

    def __init__(self, places: Sequence[tuple[str, str, float]]) -> None:
        self.places = tuple(places)


class Values(Sequence[Observation]):
    """The observations of a message that says nothing but values, the device's own, none of them dated or converted.

    Most messages of most devices are such. What they mean need not be found out anew for each of them: whoever knows
    the `look` needs the `values` only.
    """

    __slots__ = ("look", "values")

    def __init__(self, look: Look, values: Sequence[float]) -> None:
        self.look, self.values = look, values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]

    def __iter__(self) -> Iterator[Observation]:
        for (quantity, unit, since_s), value in zip(self.look.places, self.values, strict=True):
            yield Observation(quantity, unit, value, since_s, relative=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a list has none either


class Parsed(NamedTuple):
    """What a message holds.

    Attributes:
        observations: its readings.
        ignored: a sentence for each part that should be a number and is none.
        learned: what later messages of this speaker will be read by, by key; "" forgets the key. Kept by the kit.
    """

    observations: Sequence[Observation]
    ignored: Sequence[str] = ()
    learned: Mapping[str, str] = {}


NOTHING = Parsed(())
"""A message that is no reading and no mistake: a relay's answer, a log line, a sign of life."""


class Access(NamedTuple):
    """How a device reaches the kit's broker."""

    host: str
    port: int
    username: str
    password: str


class Setting(NamedTuple):
    """A line that a person types into the device's own settings."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """What a person has to know, for `kit device add` and docs/dialects.md.

    Attributes:
        title: the family's name as it stands on the box.
        what: what is bought under this name.
        where: where in the device its MQTT settings are.
        reads: which of its messages become readings.
        parts: how the devices behind a gateway are named; "" = it is no gateway.
        notes: what goes wrong otherwise.
        sources: where the format is specified.
    """

    title: str
    what: str
    where: str
    reads: str
    parts: str = ""
    notes: Sequence[str] = ()
    sources: Sequence[str] = field(default_factory=tuple)


class Run(NamedTuple):
    """What messages that look alike hold, if that is nothing but values: `Values` of many, by place.

    Attributes:
        look: what they have in common.
        columns: for each place of the look the values of all messages, in their order.
    """

    look: Look
    columns: Sequence[Sequence[float]]

    @property
    def length(self) -> int:
        """How many messages."""
        return len(self.columns[0])


class Dialect(Protocol):
    """One way in which devices publish readings."""

    @property
    def name(self) -> str:
        """The word behind `kit device add --kind`."""
        ...

    @property
    def guide(self) -> Guide:
        """For people."""
        ...

    def base(self, name: str) -> str:
        """Where the topics of a device of this name begin, if the device can be told so."""
        ...

    def grants(self, base: str) -> Grants:
        """What a device with that base may do. The first level or two of its own topics are literal."""
        ...

    def settings(self, base: str, access: Access) -> Sequence[Setting]:
        """What to type into the device."""
        ...

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """The base of an unknown device that said this, or None if it does not speak this dialect."""
        ...

    def parse(self, heard: Heard) -> Parsed:
        """Read a message.

        Raises:
            DialectError: it cannot be read; any other exception is a bug.
        """
        ...


@runtime_checkable
class ReadsRuns(Protocol):
    """A dialect that reads many messages of one topic at once, more quickly than `parse` reads them one by one.

    The two say the same: whoever inherits both and replaces one replaces the other.
    """

    def read_run(self, topic: str, payloads: Sequence[bytes], at: int) -> Run | None:
        """Read as many messages as there are from `at` on that hold `Values` of one look.

        Returns:
            What `parse` would say of them; None if the first is no such message, or is to be learned from.
        """
        ...


class BelowPrefix:
    """What the dialects have in common whose devices say everything below one topic of their own, `<prefix>/<name>`.

    Attributes:
        prefix: the first level of the topics, as the family's devices usually have it.
        hear: what a device also says by its nature, outside its own topics (its discovery, its announcement).
        read: what it also subscribes to, besides what is sent to it below its own topic and the warnings.
    """

    prefix: ClassVar[str]
    hear: ClassVar[tuple[str, ...]] = ()
    read: ClassVar[tuple[str, ...]] = ()

    def base(self, name: str) -> str:
        """Where its own topics begin."""
        return f"{self.prefix}/{name}"

    def grants(self, base: str) -> Grants:
        """All below its own topic, and what its nature asks for."""
        return Grants(publish=(f"{base}/#",), hear=self.hear, read=(f"{base}/#", *self.read, ALERTS))


def plain_settings(access: Access, client_id: str, *more: Setting) -> list[Setting]:
    """The lines that every device asks for, then its own."""
    return [
        Setting("Host", access.host),
        Setting("Port", str(access.port)),
        Setting("User", access.username),
        Setting("Password", access.password),
        Setting("Client ID", client_id),
        *more,
    ]
