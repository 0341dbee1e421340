"""The alerts as a CAP feed: Atom (RFC 4287) with each CAP message embedded, so that one request tells everything.

The newest message stands first; cancelled and replaced ones stay in, because a reader that saw the warning must see
its end.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from kit.model.alert import rfc3339
from kit.model.alert_state import AlertState
from kit.model.cap import NAMESPACE as CAP
from kit.model.cap import cap_element, xml_text

ATOM = "http://www.w3.org/2005/Atom"


def alerts_atom(alerts: Sequence[AlertState], *, base_url: str, now: float) -> bytes:
    """The feed.

    Args:
        alerts: the newest first.
        base_url: of the kit's pages, for example `http://kit.lan:8080`; the feed is at `/alerts.atom` below it.
        now: Unix seconds; decides what has ended, and is the feed's date when it is empty.
    """
    ET.register_namespace("", ATOM)
    ET.register_namespace("cap", CAP)
    now_ms = int(now * 1000)
    own = f"{base_url.rstrip('/')}/alerts.atom"
    feed = ET.Element(_tag("feed"))
    _add(feed, "id", own)
    _add(feed, "title", "Alerts")
    _add(feed, "updated", rfc3339(max((_changed_ms(state) for state in alerts), default=now_ms)))
    ET.SubElement(_add(feed, "author", ""), _tag("name")).text = alerts[0].alert.sender if alerts else "village-kit"
    ET.SubElement(feed, _tag("link"), rel="self", type="application/atom+xml", href=own)
    for state in alerts:
        _add_entry(feed, state, now_ms)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def _add_entry(feed: ET.Element, state: AlertState, now_ms: int) -> None:
    alert = state.alert
    text = alert.infos[0] if alert.infos else None
    entry = ET.SubElement(feed, _tag("entry"))
    _add(entry, "id", f"urn:cap:{alert.sender}:{alert.identifier}")
    _add(entry, "title", (text.headline if text else "") or alert.event)
    _add(entry, "published", rfc3339(alert.sent_ms))
    _add(entry, "updated", rfc3339(_changed_ms(state)))
    ET.SubElement(_add(entry, "author", ""), _tag("name")).text = alert.sender
    ET.SubElement(entry, _tag("category"), term=alert.event)
    _add(entry, "summary", f"{alert.msg_type}, {state.words(now_ms)}")
    content = ET.SubElement(entry, _tag("content"), type="application/cap+xml")
    content.append(cap_element(alert))


def _changed_ms(state: AlertState) -> int:
    return max([state.alert.sent_ms, *(receipt.at_ms for receipt in state.receipts)])


def _tag(name: str) -> str:
    return f"{{{ATOM}}}{name}"


def _add(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, _tag(name))
    element.text = xml_text(text)
    return element
