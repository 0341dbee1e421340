"""Alerts as CAP 1.2 XML and as JSON, and back.

Written by ElementTree in the order the OASIS schema wants; read only from documents without a DTD, because entities
are how a small XML file becomes a large one. Times are written with a numeric offset, `-00:00` for UTC: CAP 1.2
§3.3.2 forbids `Z`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn, TypeVar
from xml.parsers import expat

from kit.model.alert import (
    Alert,
    AlertError,
    AlertText,
    Area,
    Category,
    Certainty,
    Circle,
    MsgType,
    Reference,
    Scope,
    Severity,
    Status,
    Urgency,
    rfc3339,
)

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_BYTES = 262_144
UNLESS_SAID_MS = 24 * 3_600_000
"""How long a message holds that does not say: CAP leaves that to the receiver (§3.2.2, expires)."""

_EVENT_CODE = "village-kit"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([-+])(\d\d):(\d\d)")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 §2.2 cannot carry at all."""

_Code = TypeVar("_Code", bound=StrEnum)


def to_cap_xml(alert: Alert) -> bytes:
    """The alert as a CAP 1.2 document, UTF-8."""
    return bytes(ET.tostring(cap_element(alert), encoding="utf-8", xml_declaration=True, default_namespace=NAMESPACE))


def cap_element(alert: Alert) -> ET.Element:
    """The alert as an element, to be embedded in a feed."""
    root = ET.Element(_tag("alert"))
    for name, text in _head(alert):
        _add(root, name, text)
    for info in alert.infos or (_bare_text(alert),):
        _add_info(root, alert, info)
    return root


def cap_time(at_ms: int) -> str:
    """Unix ms as CAP writes UTC: `2016-04-12T03:00:00-00:00`."""
    return rfc3339(at_ms).replace("Z", "-00:00")


def xml_text(text: str) -> str:
    """The text with `\ufffd` for what no XML document may hold; markup is the writer's to escape."""
    return _NOT_XML.sub("\ufffd", str(text))


def from_cap_xml(document: bytes) -> Alert:
    """Read a CAP 1.2 document.

    Raises:
        AlertError: it is no CAP 1.2 alert, too large, or has a DTD.
    """
    root = _parse(document)
    if root.tag != _tag("alert"):
        raise AlertError(f"the document is {root.tag[:80]!r}, not a CAP 1.2 alert")
    infos = root.findall(_tag("info"))
    if not infos:
        raise AlertError("the alert has no info block, so it says nothing about any danger")
    first = infos[0]
    sent_ms = _read_time(_need(root, "sent"))
    expires_ms = _read_optional_time(_find(first, "expires"))
    return Alert(
        identifier=_need(root, "identifier"),
        sender=_need(root, "sender"),
        sent_ms=sent_ms,
        status=_code(Status, root, "status"),
        msg_type=_code(MsgType, root, "msgType"),
        scope=_code(Scope, root, "scope"),
        references=tuple(_read_references(_find(root, "references"))),
        event=_event_code(first),
        category=_code(Category, first, "category"),
        urgency=_code(Urgency, first, "urgency"),
        severity=_code(Severity, first, "severity"),
        certainty=_code(Certainty, first, "certainty"),
        effective_ms=_read_optional_time(_find(first, "effective")),
        onset_ms=_read_optional_time(_find(first, "onset")),
        expires_ms=sent_ms + UNLESS_SAID_MS if expires_ms is None else expires_ms,
        area=_read_area(first),
        infos=tuple(_read_info(info) for info in infos),
        parameters=dict(_read_parameters(first)),
    )


def to_json(alert: Alert) -> dict[str, Any]:
    """The alert as a JSON object with CAP's names; times are RFC 3339 UTC."""
    return {
        "identifier": alert.identifier,
        "sender": alert.sender,
        "sent": rfc3339(alert.sent_ms),
        "status": alert.status.value,
        "msgType": alert.msg_type.value,
        "scope": alert.scope.value,
        "references": [
            {"sender": ref.sender, "identifier": ref.identifier, "sent": rfc3339(ref.sent_ms)}
            for ref in alert.references
        ],
        "event": alert.event,
        "category": alert.category.value,
        "urgency": alert.urgency.value,
        "severity": alert.severity.value,
        "certainty": alert.certainty.value,
        "effective": None if alert.effective_ms is None else rfc3339(alert.effective_ms),
        "onset": None if alert.onset_ms is None else rfc3339(alert.onset_ms),
        "expires": rfc3339(alert.expires_ms),
        "area": alert.area.name,
        "circle": None
        if alert.area.circle is None
        else {
            "latitude": alert.area.circle.latitude,
            "longitude": alert.area.circle.longitude,
            "radius_km": alert.area.circle.radius_km,
        },
        "info": [
            {
                "language": info.language,
                "event": info.event,
                "headline": info.headline,
                "description": info.description,
                "instruction": info.instruction,
            }
            for info in alert.infos
        ],
        "parameters": dict(alert.parameters),
    }


def from_json(told: dict[str, Any]) -> Alert:
    """The inverse of `to_json`; fields it does not know are left alone.

    Raises:
        AlertError: a field is missing or makes no sense.
    """
    try:
        circle = told.get("circle")
        return Alert(
            identifier=told["identifier"],
            sender=told["sender"],
            sent_ms=_read_rfc3339(told["sent"]),
            status=Status(told["status"]),
            msg_type=MsgType(told["msgType"]),
            scope=Scope(told["scope"]),
            references=tuple(
                Reference(ref["sender"], ref["identifier"], _read_rfc3339(ref["sent"])) for ref in told["references"]
            ),
            event=told["event"],
            category=Category(told["category"]),
            urgency=Urgency(told["urgency"]),
            severity=Severity(told["severity"]),
            certainty=Certainty(told["certainty"]),
            effective_ms=None if told.get("effective") is None else _read_rfc3339(told["effective"]),
            onset_ms=None if told.get("onset") is None else _read_rfc3339(told["onset"]),
            expires_ms=_read_rfc3339(told["expires"]),
            area=Area(told["area"], None if circle is None else Circle(**circle)),
            infos=tuple(AlertText(**info) for info in told["info"]),
            parameters=told["parameters"],
        )
    except AlertError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AlertError(f"this is no alert ({type(error).__name__}: {error})") from error


def _head(alert: Alert) -> Iterator[tuple[str, str]]:
    yield "identifier", alert.identifier
    yield "sender", alert.sender
    yield "sent", cap_time(alert.sent_ms)
    yield "status", alert.status
    yield "msgType", alert.msg_type
    yield "scope", alert.scope
    if alert.references:
        yield "references", " ".join(f"{r.sender},{r.identifier},{cap_time(r.sent_ms)}" for r in alert.references)


def _add_info(root: ET.Element, alert: Alert, text: AlertText) -> None:
    info = ET.SubElement(root, _tag("info"))
    for name, value in (
        ("language", text.language),
        ("category", alert.category),
        ("event", text.event or alert.event),
        ("urgency", alert.urgency),
        ("severity", alert.severity),
        ("certainty", alert.certainty),
    ):
        _add(info, name, value)
    _add_pair(info, "eventCode", _EVENT_CODE, alert.event)
    for name, at_ms in (
        ("effective", alert.effective_ms),
        ("onset", alert.onset_ms),
        ("expires", alert.expires_ms),
    ):
        if at_ms is not None:
            _add(info, name, cap_time(at_ms))
    for name, value in (
        ("headline", text.headline),
        ("description", text.description),
        ("instruction", text.instruction),
    ):
        if value:
            _add(info, name, value)
    for name, number in alert.parameters.items():
        _add_pair(info, "parameter", name, str(number))
    area = ET.SubElement(info, _tag("area"))
    _add(area, "areaDesc", alert.area.name)
    if alert.area.circle is not None:
        circle = alert.area.circle
        numbers = (_plain(number) for number in (circle.latitude, circle.longitude, circle.radius_km))
        _add(area, "circle", "{},{} {}".format(*numbers))


def _bare_text(alert: Alert) -> AlertText:
    return AlertText(language="en", event=alert.event, headline="")


def _plain(number: float) -> str:
    """Without an exponent, which CAP's coordinates do not have."""
    return f"{Decimal(repr(number)):f}"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, _tag(name)).text = xml_text(text)


def _add_pair(parent: ET.Element, name: str, key: str, value: str) -> None:
    pair = ET.SubElement(parent, _tag(name))
    _add(pair, "valueName", key)
    _add(pair, "value", value)


def _parse(document: bytes) -> ET.Element:
    if len(document) > MAX_BYTES:
        raise AlertError(f"the document has {len(document)} bytes; an alert has at most {MAX_BYTES}")
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = _refuse_dtd
    try:
        guard.Parse(document, True)  # noqa: FBT003 - expat's signature
        return ET.fromstring(document)  # noqa: S314 - the guard has just shown that there is no DTD, so no entities
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        if isinstance(error, AlertError):
            raise
        raise AlertError(f"the document is not well-formed XML ({error})") from error


def _refuse_dtd(*_: Any) -> NoReturn:
    raise AlertError("the document declares a DTD, which no CAP alert does; it is not read")


def _find(parent: ET.Element, name: str) -> str:
    return (parent.findtext(_tag(name)) or "").strip()


def _need(parent: ET.Element, name: str) -> str:
    text = _find(parent, name)
    if not text:
        raise AlertError(f"the alert has no <{name}>")
    return text


def _code(kind: type[_Code], parent: ET.Element, name: str) -> _Code:
    text = _need(parent, name)
    try:
        return kind(text)
    except ValueError:
        raise AlertError(f"<{name}> is {text[:40]!r}; CAP 1.2 knows {', '.join(kind)}") from None


def _read_time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise AlertError(f"{text[:40]!r} is no CAP time; write it like 2016-04-12T03:00:00-00:00")
    moment, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        utc = datetime.fromisoformat(moment).replace(tzinfo=UTC) - offset
    except (ValueError, OverflowError) as error:
        raise AlertError(f"{text[:40]!r} is no time ({error})") from error
    return int(utc.timestamp()) * 1000


def _read_optional_time(text: str) -> int | None:
    return _read_time(text) if text else None


def _read_rfc3339(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def _read_references(text: str) -> Iterator[Reference]:
    for reference in text.split():
        parts = reference.split(",")
        if len(parts) != 3:  # noqa: PLR2004 - sender,identifier,sent
            raise AlertError(f"the reference {reference[:80]!r} is not sender,identifier,sent")
        yield Reference(parts[0], parts[1], _read_time(parts[2]))


def _read_info(info: ET.Element) -> AlertText:
    return AlertText(
        language=_find(info, "language") or "en-US",  # CAP 1.2 §3.2.2: the default
        event=_need(info, "event"),
        headline=_find(info, "headline"),
        description=_find(info, "description"),
        instruction=_find(info, "instruction"),
    )


def _event_code(info: ET.Element) -> str:
    for code in info.findall(_tag("eventCode")):
        if _find(code, "valueName") == _EVENT_CODE:
            return _need(code, "value")
    return _need(info, "event")


def _read_parameters(info: ET.Element) -> Iterator[tuple[str, float | str]]:
    for parameter in info.findall(_tag("parameter")):
        value = _find(parameter, "value")
        try:
            yield _need(parameter, "valueName"), float(value)
        except AlertError:
            raise
        except ValueError:
            yield _need(parameter, "valueName"), value


def _read_area(info: ET.Element) -> Area:
    area = info.find(_tag("area"))
    if area is None:
        return Area("")
    circle = re.fullmatch(r"(-?[\d.]+),(-?[\d.]+) ([\d.]+)", _find(area, "circle"))
    if circle is None:
        return Area(_need(area, "areaDesc"))
    try:
        return Area(_need(area, "areaDesc"), Circle(*(float(part) for part in circle.groups())))
    except ValueError as error:
        if isinstance(error, AlertError):
            raise
        raise AlertError(f"the circle {circle.group()[:40]!r} is not latitude,longitude radius") from error
