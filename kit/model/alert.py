"""Alerts after CAP 1.2 (OASIS, 2010), the receipts people give for them, and their compact record bodies.

Invariants: an alert never changes once it is made; what follows is a new message that refers to it. A receipt is what
a *person* did. Neither a publish nor a radio acknowledgement is one, so nothing here says "delivered".

All times are whole seconds (CAP has no fractions), kept as Unix milliseconds like everywhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kit.model.times import rfc3339 as rfc3339  # noqa: PLC0414 - times of alerts are told by it


class AlertError(ValueError):
    """This cannot be an alert (or a receipt); the sentence says which field is wrong."""


class Status(StrEnum):
    """CAP `status`."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class MsgType(StrEnum):
    """CAP `msgType`."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Scope(StrEnum):
    """CAP `scope`."""

    PUBLIC = "Public"
    RESTRICTED = "Restricted"
    PRIVATE = "Private"


class Category(StrEnum):
    """CAP `category`."""

    GEO = "Geo"
    MET = "Met"
    SAFETY = "Safety"
    SECURITY = "Security"
    RESCUE = "Rescue"
    FIRE = "Fire"
    HEALTH = "Health"
    ENV = "Env"
    TRANSPORT = "Transport"
    INFRA = "Infra"
    CBRNE = "CBRNE"
    OTHER = "Other"


class Urgency(StrEnum):
    """CAP `urgency`, the most urgent first."""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    """CAP `severity`, the worst first."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Certainty(StrEnum):
    """CAP `certainty`, the surest first."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Reference:
    """An earlier message that this one follows."""

    sender: str
    identifier: str
    sent_ms: int


@dataclass(frozen=True)
class Circle:
    """A circle on WGS 84, degrees and kilometres."""

    latitude: float
    longitude: float
    radius_km: float


@dataclass(frozen=True)
class Area:
    """Whom it concerns: a name that people there use, and where that is, if known."""

    name: str
    circle: Circle | None = None


@dataclass(frozen=True, kw_only=True)
class AlertText:
    """What people read, in one language.

    Attributes:
        language: RFC 5646 tag.
        event: the danger in a word or two.
        headline: one line, at most about 160 characters.
        description: what is coming.
        instruction: what to do.
    """

    language: str
    event: str
    headline: str
    description: str = ""
    instruction: str = ""


_WORD = re.compile(r"[^\s,<&]+")
"""CAP 1.2 §3.2.1: identifiers and senders have no spaces, commas, `<` or `&`."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One CAP message.

    Attributes:
        identifier: unique for the sender; no spaces, commas, `<` or `&`.
        sender: who says so, for example `k-7f3a@village-kit`; the same characters.
        sent_ms: Unix ms.
        references: the messages it updates or cancels, the first of the incident first.
        event: a code that programs compare, for example `frost`.
        effective_ms, onset_ms: when it holds from and when the danger itself begins; None = when sent, unknown.
        expires_ms: when it ends by itself.
        infos: its text, the usual language first.
        parameters: numbers and words that programs use, for example `tmin_c`; a number that is not finite says
            nothing and is left out.
    """

    identifier: str
    sender: str
    sent_ms: int
    status: Status = Status.ACTUAL
    msg_type: MsgType = MsgType.ALERT
    scope: Scope = Scope.PUBLIC
    references: tuple[Reference, ...] = ()
    event: str
    category: Category = Category.MET
    urgency: Urgency = Urgency.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    effective_ms: int | None = None
    onset_ms: int | None = None
    expires_ms: int
    area: Area
    infos: tuple[AlertText, ...] = ()
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("identifier", "sender"):
            if not _WORD.fullmatch(getattr(self, name)):
                raise AlertError(f"the {name} {getattr(self, name)!r} must have no space, comma, '<' or '&' in it")
        for name in ("sent_ms", "effective_ms", "onset_ms", "expires_ms"):
            told = getattr(self, name)
            if told is not None:
                object.__setattr__(self, name, told // 1000 * 1000)
        kept = {k: v for k, v in self.parameters.items() if isinstance(v, str) or math.isfinite(v)}
        object.__setattr__(self, "parameters", kept)

    @property
    def incident(self) -> str:
        """The identifier of the first message about the same danger."""
        return self.references[0].identifier if self.references else self.identifier

    @property
    def reference(self) -> Reference:
        """How a later message refers to this one."""
        return Reference(self.sender, self.identifier, self.sent_ms)

    def text(self, language: str) -> AlertText | None:
        """Its text in that language, else in the first it has."""
        wanted = language.partition("-")[0]
        for info in self.infos:
            if info.language.partition("-")[0] == wanted:
                return info
        return self.infos[0] if self.infos else None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A person has seen an alert and said so.

    Attributes:
        alert: the identifier of the message that was on the screen.
        person: the name given, or "" where nobody was asked.
        channel: how: "web", "sms", "radio", "tui", "core".
        at_ms: when, Unix ms.
    """

    alert: str
    person: str
    channel: str
    at_ms: int


_MSG_TYPES, _SEVERITIES, _URGENCIES, _CERTAINTIES, _STATUSES, _CATEGORIES = (
    tuple(kind) for kind in (MsgType, Severity, Urgency, Certainty, Status, Category)
)


def to_record_body(alert: Alert, *, texts: bool = False) -> bytes:
    """The alert as CBOR for the thin link, about 120 bytes: what, who, when, how bad; the text stays at home.

    An array, so that no names are sent: [1, identifier, sender, sent_s, msg_type, event, [status, category, urgency,
    severity, certainty], onset − sent, expires − sent, area, parameters, references]; with its texts, as the core's
    warnings go to villages, also [[language, event, headline, description, instruction], …].
    """
    import cbor2

    sent_s = alert.sent_ms // 1000
    return cbor2.dumps(
        [
            1,
            alert.identifier,
            alert.sender,
            sent_s,
            _MSG_TYPES.index(alert.msg_type),
            alert.event,
            bytes(
                (
                    _STATUSES.index(alert.status),
                    _CATEGORIES.index(alert.category),
                    _URGENCIES.index(alert.urgency),
                    _SEVERITIES.index(alert.severity),
                    _CERTAINTIES.index(alert.certainty),
                )
            ),
            None if alert.onset_ms is None else alert.onset_ms // 1000 - sent_s,
            alert.expires_ms // 1000 - sent_s,
            alert.area.name,
            {name: _shortest(value) for name, value in alert.parameters.items()},
            [
                [ref.identifier, ref.sent_ms // 1000, *([] if ref.sender == alert.sender else [ref.sender])]
                for ref in alert.references
            ],
            *(
                [[[i.language, i.event, i.headline, i.description, i.instruction] for i in alert.infos]]
                if texts
                else []
            ),
        ]
    )


def from_record_body(body: bytes) -> Alert:
    """The alert of a record, with its texts where they were sent along.

    Raises:
        AlertError: the body is no alert.
    """
    (identifier, sender, sent_s, msg_type, event, codes, onset, expires, area, parameters, references, *more) = _fields(
        body, 12, "alert", up_to=13
    )
    try:
        status, category, urgency, severity, certainty = codes
        return Alert(
            identifier=_words(identifier),
            sender=_words(sender),
            sent_ms=int(sent_s) * 1000,
            msg_type=_MSG_TYPES[msg_type],
            event=_words(event),
            status=_STATUSES[status],
            category=_CATEGORIES[category],
            urgency=_URGENCIES[urgency],
            severity=_SEVERITIES[severity],
            certainty=_CERTAINTIES[certainty],
            onset_ms=None if onset is None else (int(sent_s) + int(onset)) * 1000,
            expires_ms=(int(sent_s) + int(expires)) * 1000,
            area=Area(_words(area)),
            parameters={_words(k): v if isinstance(v, str) else float(v) for k, v in parameters.items()},
            references=tuple(
                Reference(_words(of[0]) if of else sender, _words(name), int(at_s) * 1000)
                for name, at_s, *of in references
            ),
            infos=tuple(map(_text, more[0] if more else ())),
        )
    except AlertError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise AlertError(f"the body is no alert ({error})") from error


def receipt_body(receipt: Receipt) -> bytes:
    """The receipt as CBOR: [1, alert, person, channel, at_ms]."""
    import cbor2

    return cbor2.dumps([1, receipt.alert, receipt.person, receipt.channel, receipt.at_ms])


def receipt_from_body(body: bytes) -> Receipt:
    """The receipt of a record.

    Raises:
        AlertError: the body is no receipt.
    """
    alert, person, channel, at_ms = _fields(body, 5, "receipt")
    if not isinstance(at_ms, int):
        raise AlertError("the body is no receipt (its time is no number)")
    return Receipt(alert=_words(alert), person=_words(person), channel=_words(channel), at_ms=at_ms)


def _fields(body: bytes, count: int, what: str, *, up_to: int = 0) -> list[Any]:
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=8)
    except cbor2.CBORError as error:
        raise AlertError(f"the body is no {what} ({error})") from error
    if not isinstance(told, list) or len(told) < count or told[0] != 1:
        raise AlertError(f"the body is no {what} that this version knows")
    return told[1 : max(count, up_to)]  # a newer version may add fields at the end


def _text(told: Any) -> AlertText:
    language, event, headline, description, instruction = map(_words, told)
    return AlertText(
        language=language, event=event, headline=headline, description=description, instruction=instruction
    )


def _words(told: Any) -> str:
    if not isinstance(told, str):
        raise AlertError(f"{told!r} should be text")
    return told


def _shortest(value: float | str) -> Any:
    if isinstance(value, str) or not math.isfinite(value):
        return value
    if float(value).is_integer():
        return int(value)
    import cbor2

    # a decimal fraction (RFC 8949 §3.4.4) needs 4 bytes where the double of -1.3 needs 9, and means exactly -1.3;
    # made by hand, because for a Decimal cbor2 looks through all it could encode and loads e-mail: three megabytes
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    mantissa = int("".join(map(str, digits)))
    return cbor2.CBORTag(4, [exponent, -mantissa if sign else mantissa])
