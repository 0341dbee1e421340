"""Commands over the real broker, to a device that misbehaves on request."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from actuated_unit import Unit, within

from hardware.ports import HardwareError
from kit.alerts.delivery import AlertDelivery
from kit.alerts.lifecycle import Alerts
from kit.bus import BusMessage
from kit.collect.actuation.asking import MqttSiren, ask_for, wait_for_word
from kit.errors import UsageError
from kit.model.alert import Alert, Area, Category, Certainty, Severity, Urgency
from kit.model.commands import LEASE_S, CommandState
from kit.store import commands as ledger
from kit.store.commands import LedgerRow
from kit.store.ingest_state import malformed
from kit.store.records import set_origin

PATIENCE_S = 20.0
"""Real seconds that a busy machine may take for what an idle one does at once."""


def _ask(unit: Unit, *, on: bool = True, for_s: float = 600.0, real_s: float = 20.0) -> LedgerRow:
    with unit.open() as database:
        identifier = ask_for(database, unit.clock, device="valve", on=on, for_s=for_s, by="test")
        return wait_for_word(database, identifier, real_s=real_s, pause=threading.Event().wait)


def _state(unit: Unit, row: LedgerRow) -> tuple[CommandState, str]:
    with unit.open() as database:
        found = ledger.find(database.connection, row.command.id)
    assert found is not None
    return found.command.state, found.command.why


def test_a_valve_opens_when_told_and_closes_when_its_time_is_over(unit: Unit) -> None:
    valve = unit.actuator()
    row = _ask(unit, for_s=90.0)
    assert row.command.state is CommandState.HELD
    assert valve.is_on()
    assert within(PATIENCE_S, lambda: not valve.is_on())
    assert within(PATIENCE_S, lambda: _state(unit, row)[0] is CommandState.ENDED)
    assert "the device is off" in _state(unit, row)[1]
    assert valve.times_on() == 1
    with unit.open() as database:
        assert malformed(database.connection) == []  # an acknowledgement is no bad reading


def test_it_stays_open_over_many_leases_and_closes_when_asked(unit: Unit) -> None:
    valve = unit.actuator()
    first = _ask(unit)
    assert not within(2.5 * LEASE_S / 50, lambda: not valve.is_on())
    off = _ask(unit, on=False)
    assert off.command.state is CommandState.ENDED
    assert not valve.is_on()
    assert within(PATIENCE_S, lambda: _state(unit, first)[0] is CommandState.ENDED)


def test_a_device_that_never_acknowledges_has_not_done_it(unit: Unit) -> None:
    valve = unit.actuator()
    valve.misbehave(ack="never")
    row = _ask(unit)
    assert row.command.state is CommandState.EXPIRED
    assert within(PATIENCE_S, lambda: not valve.is_on())


def test_a_late_word_counts_and_a_refusal_is_told(unit: Unit) -> None:
    valve = unit.actuator()
    valve.misbehave(ack_after_s=5.0)
    assert _ask(unit).command.state is CommandState.HELD
    valve.misbehave(refuse="no water")
    row = _ask(unit)
    assert (row.command.state, row.command.why) == (CommandState.FAILED, "the device refused: no water")


def test_a_device_that_falls_silent_is_not_said_to_be_open(unit: Unit) -> None:
    valve = unit.actuator()
    row = _ask(unit)
    valve.misbehave(deaf=True)
    assert within(PATIENCE_S, lambda: _state(unit, row)[0] is CommandState.FAILED)
    assert not valve.is_on()


def test_a_device_that_restarts_is_off_until_the_kit_renews_it(unit: Unit) -> None:
    valve = unit.actuator()
    _ask(unit)
    valve.misbehave(restart=1)
    assert within(PATIENCE_S, lambda: valve.times_on() == 2)


def test_when_the_kit_is_killed_its_last_will_and_the_lease_close_the_valve(unit: Unit) -> None:
    valve = unit.actuator()
    row = _ask(unit)
    unit.kill_service()
    assert within(2 * LEASE_S / 50 + 2, lambda: not valve.is_on())
    unit.start_service()  # a new process in the same boot goes on where the old one was
    assert within(PATIENCE_S, valve.is_on)
    assert _state(unit, row)[0] is CommandState.HELD


def test_the_kit_says_whether_it_lives(unit: Unit) -> None:
    heard: list[BusMessage] = []
    assert unit._bus is not None
    unit._bus.subscribe("status/kit", heard.append)
    assert within(PATIENCE_S, lambda: any(b'"up"' in message.payload for message in heard))


def test_a_misspelt_device_is_an_error_with_the_nearest(unit: Unit) -> None:
    unit.actuator()
    with unit.open() as database, pytest.raises(UsageError, match="did you mean 'valve'"):
        ask_for(database, unit.clock, device="vale", on=True, for_s=60.0, by="test")


def _siren(unit: Unit) -> MqttSiren:
    return MqttSiren("valve", unit.clock, open_database=unit.open, pause=threading.Event().wait, patience_s=2.0)


def test_a_siren_on_the_network_has_sounded_only_when_it_said_so(unit: Unit) -> None:
    siren = _siren(unit)
    with pytest.raises(HardwareError, match="no device named 'valve'"):
        siren.sound(60.0)
    device = unit.actuator()
    device.misbehave(ack="never")
    with pytest.raises(HardwareError, match=r"does not sound|not acknowledged"):
        siren.sound(600.0)
    assert siren.sounding is False
    device.misbehave()
    siren.sound(600.0)
    with unit.open() as database:
        assert [row.command.state for row in ledger.live(database.connection)] == [CommandState.HELD]
    assert device.is_on()
    siren.silence()
    assert not device.is_on()


def test_a_warning_counts_as_sounded_only_when_the_siren_acknowledged(unit: Unit) -> None:
    class Nowhere:
        connected = False

        def publish(self, *_: Any, **__: Any) -> None: ...

        def subscribe(self, *_: Any) -> None: ...

    device = unit.actuator()
    device.misbehave(ack="never")
    with unit.open() as database:
        with database.atomic() as connection:
            set_origin(connection, "kit-x")
        alerts = Alerts(database, unit.clock, sender="kit-x", area="village")
        now_ms = int(unit.clock.now() * 1000)
        alerts.raise_alert(
            Alert(
                identifier="frost-1",
                sender="kit-x",
                sent_ms=now_ms,
                event="frost",
                category=Category.MET,
                urgency=Urgency.EXPECTED,
                severity=Severity.SEVERE,
                certainty=Certainty.LIKELY,
                expires_ms=now_ms + 8 * 3_600_000,
                area=Area("village"),
            )
        )
        delivery = AlertDelivery(database, unit.clock, Nowhere(), _siren(unit), "village", sound_s=600.0)
        delivery.step()
        sounded = "SELECT count(*) FROM alert_sirens"
        assert database.connection.execute(sounded).fetchone()[0] == 0
        problem = database.connection.execute("SELECT value FROM facts WHERE name = 'problem/siren'").fetchone()
        assert "siren 'valve'" in problem[0]
        device.misbehave()

        def again() -> bool:
            delivery.step()
            return bool(database.connection.execute(sounded).fetchone()[0] == 1)

        assert within(PATIENCE_S, again)
        assert device.is_on()
