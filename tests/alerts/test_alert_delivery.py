"""What stands is on the topic, and a severe danger sounds the siren, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardware.simulated.siren import SimulatedSiren
from kit.alerts.delivery import PROBLEM_SIREN, PROBLEM_TOPIC, RETRY_S, AlertDelivery
from kit.alerts.lifecycle import Alerts
from kit.bus import BusError, BusMessage
from kit.clock import ManualClock
from kit.model.alert import Alert, MsgType, Severity
from kit.model.alert_state import AlertState
from kit.model.cap import from_cap_xml
from kit.model.incident import ALL_CLEAR_STANDS_MS
from kit.store.database import Database
from kit.store.facts import get_fact
from kit.store.schema import MIGRATIONS


class VillageBus:
    """A broker's retained messages, and how often something was published; can be taken away."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.published = 0
        self.connected = True

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 5.0) -> None:
        del timeout_s
        if not self.connected:
            raise BusError("the broker did not answer")
        assert retain
        self.retained[topic] = payload
        self.published += 1

    def subscribe(self, topic_filter: str, on_message: Callable[[BusMessage], None]) -> None:
        raise NotImplementedError

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.retained["alerts/village"])
        return told


@pytest.fixture
def bus() -> VillageBus:
    return VillageBus()


@pytest.fixture
def siren(tmp_path: Path, clock: ManualClock) -> SimulatedSiren:
    return SimulatedSiren(tmp_path / "run" / "siren.json", clock)


@pytest.fixture
def delivery(database: Database, clock: ManualClock, bus: VillageBus, siren: SimulatedSiren) -> AlertDelivery:
    return AlertDelivery(database, clock, bus, siren, "village", sound_s=60)


def test_where_nothing_was_ever_said_nothing_is_published(delivery: AlertDelivery, bus: VillageBus) -> None:
    delivery.step()
    assert bus.published == 0


def test_a_warning_is_published_and_sounds_the_siren(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus, siren: SimulatedSiren, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    told = bus.told()
    assert told["identifier"] == frost.identifier
    assert (told["msgType"], told["severity"], told["state"], told["confirmed_by"]) == (
        "Alert",
        "Severe",
        "unconfirmed",
        0,
    )
    assert told["headline"] == {"en": "Frost tonight: −1.3 °C"}
    assert from_cap_xml(told["cap_xml"].encode()) == frost
    assert siren.state().until_s == clock.now() + 60


def test_a_warning_that_ends_while_the_siren_sounds_silences_it(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, siren: SimulatedSiren, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    clock.advance(20)
    delivery.step()
    assert siren.sounding
    alerts.all_clear(frost.identifier)
    delivery.step()
    assert not siren.sounding


def test_a_siren_that_sounds_for_another_danger_too_goes_on(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, siren: SimulatedSiren, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    clock.advance(20)
    alerts.raise_alert(replace(frost, identifier="flood-1", event="flood"))
    delivery.step()
    alerts.all_clear("flood-1")
    delivery.step()
    assert siren.state().until_s == clock.now() + 60
    alerts.all_clear(frost.identifier)
    delivery.step()
    assert siren.state().until_s == clock.now()
    alerts.raise_alert(replace(frost, identifier="storm-1", event="storm"))
    delivery.step()
    assert siren.state().until_s == clock.now() + 60, "what comes after that wakes people again"


def test_the_siren_sounds_once_however_often_the_unit_restarts(
    alerts: Alerts, frost: Alert, bus: VillageBus, siren: SimulatedSiren, clock: ManualClock, file: Path
) -> None:
    alerts.raise_alert(frost)
    for _ in range(5):
        with Database(file, migrations=MIGRATIONS) as database:
            AlertDelivery(database, clock, bus, siren, "village").step()
        clock.advance(300)
    assert siren.state().times == 1


def test_updates_do_not_sound_again_but_a_worse_one_wakes_whoever_was_not_woken(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, siren: SimulatedSiren, clock: ManualClock
) -> None:
    mild = replace(frost, severity=Severity.MODERATE)
    alerts.raise_alert(mild)
    delivery.step()
    assert siren.state().times == 0
    for number, severity in enumerate([Severity.SEVERE, Severity.SEVERE, Severity.EXTREME]):
        update = replace(
            frost,
            identifier=f"u{number}",
            msg_type=MsgType.UPDATE,
            references=(mild.reference,),
            severity=severity,
        )
        alerts.update(update)
        delivery.step()
        clock.advance(3600)
    assert siren.state().times == 1


def test_a_warning_that_ended_while_the_unit_was_off_does_not_sound(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, siren: SimulatedSiren, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    clock.advance(20 * 3600)
    delivery.step()
    assert siren.state().times == 0


def test_a_broken_siren_is_a_visible_problem_and_is_tried_again(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, siren: SimulatedSiren, clock: ManualClock, database: Database
) -> None:
    siren.break_relay()
    alerts.raise_alert(frost)
    delivery.step()
    fact = get_fact(database.connection, PROBLEM_SIREN)
    assert fact is not None
    assert "check the relay" in fact[1]["problem"]
    siren.mend_relay()
    delivery.step()
    assert siren.state().times == 0, "it waits before it tries again"
    clock.advance(RETRY_S)
    delivery.step()
    assert siren.sounding
    fact = get_fact(database.connection, PROBLEM_SIREN)
    assert fact is not None
    assert fact[1]["problem"] == ""


def test_a_broker_that_is_away_neither_stops_the_siren_nor_loses_the_warning(
    delivery: AlertDelivery,
    alerts: Alerts,
    frost: Alert,
    bus: VillageBus,
    siren: SimulatedSiren,
    clock: ManualClock,
    database: Database,
) -> None:
    bus.connected = False
    alerts.raise_alert(frost)
    delivery.step()
    assert siren.sounding
    assert get_fact(database.connection, PROBLEM_TOPIC) is not None
    bus.connected = True
    clock.advance(RETRY_S)
    delivery.step()
    assert bus.told()["identifier"] == frost.identifier


def test_what_has_not_changed_is_not_published_again(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    for _ in range(5):
        delivery.step()
        clock.advance(10)
    assert bus.published == 1


def test_a_restart_publishes_again_because_the_broker_may_have_forgotten(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus, clock: ManualClock, database: Database
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    bus.retained.clear()
    AlertDelivery(database, clock, bus, None, "village").step()
    assert bus.told()["identifier"] == frost.identifier


def test_a_receipt_is_shown_on_the_topic(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    delivery.step()
    assert (bus.told()["state"], bus.told()["confirmed_by"]) == ("confirmed", 1)
    assert "Wanjir" not in bus.retained["alerts/village"].decode(), "names are not for everybody on the bus"


def test_the_all_clear_replaces_the_warning_and_later_leaves_the_topic_empty(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    alerts.all_clear(frost.identifier)
    delivery.step()
    assert (bus.told()["msgType"], bus.told()["references"]) == ("Cancel", [frost.identifier])
    clock.advance(ALL_CLEAR_STANDS_MS / 1000)
    delivery.step()
    assert bus.retained["alerts/village"] == b""


def test_a_warning_whose_time_is_over_leaves_the_topic(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    delivery.step()
    clock.advance(14 * 3600)
    delivery.step()
    assert bus.retained["alerts/village"] == b""


def test_of_two_dangers_the_worse_stands_first_and_the_other_beside_it(
    delivery: AlertDelivery, alerts: Alerts, frost: Alert, bus: VillageBus
) -> None:
    alerts.raise_alert(replace(frost, identifier="flood", event="flood", severity=Severity.EXTREME))
    alerts.raise_alert(frost)
    delivery.step()
    assert bus.told()["event"] == "flood"
    assert [also["event"] for also in bus.told()["also"]] == ["frost"]


def test_an_escalation_hears_of_what_nobody_has_confirmed(
    database: Database, alerts: Alerts, frost: Alert, bus: VillageBus, clock: ManualClock
) -> None:
    heard: list[str] = []

    class Neighbour:
        def consider(self, unconfirmed: Sequence[AlertState], *, now_ms: int) -> None:
            del now_ms
            heard.extend(state.alert.identifier for state in unconfirmed)

    delivery = AlertDelivery(database, clock, bus, None, "village", escalation=Neighbour())
    alerts.raise_alert(frost)
    delivery.step()
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    delivery.step()
    assert heard == [frost.identifier]


def test_the_service_stops_when_told(delivery: AlertDelivery) -> None:
    stop = threading.Event()
    worker = threading.Thread(target=delivery.run, args=(stop,))
    worker.start()
    stop.set()
    worker.join(timeout=5)
    assert not worker.is_alive()
