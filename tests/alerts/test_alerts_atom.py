"""The CAP feed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from kit.alerts.atom import alerts_atom
from kit.alerts.lifecycle import Alerts
from kit.clock import ManualClock
from kit.model.alert import Alert, AlertText
from kit.model.cap import from_cap_xml

NAMES = {"a": "http://www.w3.org/2005/Atom", "c": "urn:oasis:names:tc:emergency:cap:1.2"}


def _feed(alerts: Alerts, clock: ManualClock) -> ET.Element:
    return ET.fromstring(alerts_atom(alerts.list(), base_url="http://kit.lan:8080/", now=clock.now()))


def test_an_empty_feed_is_still_a_feed(alerts: Alerts, clock: ManualClock) -> None:
    feed = _feed(alerts, clock)
    assert feed.findtext("a:id", namespaces=NAMES) == "http://kit.lan:8080/alerts.atom"
    assert feed.findtext("a:updated", namespaces=NAMES) == "2016-04-12T17:00:00Z"
    assert feed.findall("a:entry", NAMES) == []


def test_each_entry_embeds_a_whole_cap_message(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    embedded = _feed(alerts, clock).find("a:entry/a:content/c:alert", NAMES)
    assert embedded is not None
    assert from_cap_xml(ET.tostring(embedded)) == frost


def test_an_entry_says_whether_anybody_has_confirmed(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    assert _feed(alerts, clock).findtext("a:entry/a:summary", namespaces=NAMES) == "Alert, unconfirmed"
    clock.advance(60)
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    feed = _feed(alerts, clock)
    assert feed.findtext("a:entry/a:summary", namespaces=NAMES) == (
        "Alert, confirmed by 1, first at 2016-04-12T17:01:00Z"
    )
    assert feed.findtext("a:entry/a:updated", namespaces=NAMES) == "2016-04-12T17:01:00Z"
    assert "Wanjir" not in ET.tostring(feed, encoding="unicode")


def test_the_all_clear_stands_above_the_warning_it_ends(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    clock.advance(60)
    alerts.all_clear(frost.identifier, infos=[AlertText(language="en", event="Frost", headline="The frost is over")])
    titles = [entry.findtext("a:title", namespaces=NAMES) for entry in _feed(alerts, clock).findall("a:entry", NAMES)]
    assert titles == ["The frost is over", "Frost tonight: −1.3 °C"]


def test_markup_in_a_headline_is_text(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    text = AlertText(language="en", event="x", headline="<script>&\x00")
    alerts.raise_alert(replace(frost, infos=(text,)))
    assert _feed(alerts, clock).findtext("a:entry/a:title", namespaces=NAMES) == "<script>&\ufffd"
