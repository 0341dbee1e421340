"""The life of an alert: raised, updated, confirmed by people, cleared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.alerts.lifecycle import Alerts, UnknownAlertError
from kit.clock import ManualClock
from kit.errors import KitError
from kit.model.alert import (
    Alert,
    AlertError,
    AlertText,
    MsgType,
    Severity,
    from_record_body,
    receipt_from_body,
)
from kit.model.alert_state import Standing
from kit.store.database import Database
from kit.store.facts import change_versions
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Priority

HOUR = 3600


def _records(database: Database) -> list[tuple[str, int, bytes]]:
    rows = database.connection.execute("SELECT kind, priority, body FROM records ORDER BY seq")
    return [(kind, priority, bytes(body)) for kind, priority, body in rows]


def _update(alert: Alert, number: int, **changes: object) -> Alert:
    changed = replace(
        alert,
        identifier=f"{alert.identifier}-{number}",
        msg_type=MsgType.UPDATE,
        references=(alert.reference,),
        sent_ms=alert.sent_ms + number * HOUR * 1000,
    )
    return replace(changed, **changes)  # type: ignore[arg-type]


def test_a_raised_alert_is_stored_with_its_record(alerts: Alerts, frost: Alert, database: Database) -> None:
    alerts.raise_alert(frost)
    assert [state.alert for state in alerts.active()] == [frost]
    ((kind, priority, body),) = _records(database)
    assert (kind, priority) == ("alert", Priority.DISTRESS)
    assert from_record_body(body).identifier == frost.identifier
    assert change_versions(database.connection, ["alerts"]) == (1,)


def test_raising_the_same_alert_again_changes_nothing(alerts: Alerts, frost: Alert, database: Database) -> None:
    alerts.raise_alert(frost)
    alerts.raise_alert(replace(frost, severity=Severity.MINOR))
    assert [state.alert.severity for state in alerts.list()] == [Severity.SEVERE]
    assert len(_records(database)) == 1


def test_an_alert_that_nobody_confirmed_says_so(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    (state,) = alerts.active()
    assert state.standing(int(clock.now() * 1000)) is Standing.UNCONFIRMED
    assert state.words(int(clock.now() * 1000)) == "unconfirmed"


def test_a_receipt_is_a_record_and_confirms(
    alerts: Alerts, frost: Alert, database: Database, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    clock.advance(120)
    receipt = alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    kind, priority, body = _records(database)[-1]
    assert (kind, priority, receipt_from_body(body)) == ("receipt", Priority.RECEIPT, receipt)
    state = alerts.get(frost.identifier)
    assert state.words(int(clock.now() * 1000)) == "confirmed by 1, first at 2016-04-12T17:02:00Z"


def test_the_same_person_confirms_once_on_each_channel(
    alerts: Alerts, frost: Alert, database: Database, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    first = alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    clock.advance(60)
    assert alerts.confirm(frost.identifier, person=" Wanjirũ\n", channel="web") == first
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="sms")
    alerts.confirm(frost.identifier, person="Otieno", channel="web")
    alerts.confirm(frost.identifier, person="", channel="web")
    assert len(_records(database)) == 1 + 4
    assert alerts.get(frost.identifier).confirmed_by == 3


def test_a_name_is_one_short_line(alerts: Alerts, frost: Alert) -> None:
    alerts.raise_alert(frost)
    receipt = alerts.confirm(frost.identifier, person="A\x00\n\t B\u202e" + "x" * 500, channel="web")
    assert receipt.person.startswith("A B")
    assert len(receipt.person) <= 80


def test_confirming_what_does_not_exist_says_where_to_look(alerts: Alerts, database: Database) -> None:
    with pytest.raises(UnknownAlertError, match="kit alerts ls"):
        alerts.confirm("nothing", person="", channel="web")
    assert _records(database) == []


def test_an_update_replaces_the_alert_and_keeps_its_confirmation(
    alerts: Alerts, frost: Alert, clock: ManualClock
) -> None:
    alerts.raise_alert(frost)
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    update = _update(frost, 1)
    alerts.update(update)
    (state,) = alerts.active()
    assert state.alert == update
    assert state.confirmed_by == 1
    old = alerts.get(frost.identifier)
    assert (old.superseded_by, old.standing(int(clock.now() * 1000))) == (update.identifier, Standing.ENDED)


def test_a_worse_update_has_to_be_seen_again(alerts: Alerts, frost: Alert) -> None:
    alerts.raise_alert(frost)
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    alerts.update(_update(frost, 1, severity=Severity.EXTREME))
    assert alerts.active()[0].confirmed_by == 0
    alerts.confirm(f"{frost.identifier}-1", person="Wanjirũ", channel="web")
    alerts.update(_update(frost, 2, severity=Severity.EXTREME))
    assert alerts.active()[0].confirmed_by == 1


def test_an_update_must_refer_to_something(alerts: Alerts, frost: Alert) -> None:
    with pytest.raises(AlertError, match="refers to the first message"):
        alerts.update(replace(frost, msg_type=MsgType.UPDATE))
    with pytest.raises(AlertError, match="use update"):
        alerts.raise_alert(_update(frost, 1))


def test_the_all_clear_ends_the_whole_incident(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    alerts.update(_update(frost, 1))
    clock.advance(12 * HOUR)
    text = AlertText(language="en", event="Frost", headline="The frost is over")
    clear = alerts.all_clear(frost.identifier, infos=[text], parameters={"tmin_c": -0.8})
    assert alerts.active() == []
    assert clear.msg_type is MsgType.CANCEL
    assert [reference.identifier for reference in clear.references] == [frost.identifier, f"{frost.identifier}-1"]
    assert clear.incident == frost.identifier
    assert clear.infos == (text,)


def test_clearing_twice_clears_once(alerts: Alerts, frost: Alert, database: Database, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    clear = alerts.all_clear(frost.identifier)
    clock.advance(60)
    assert alerts.all_clear(frost.identifier) == clear
    assert len(_records(database)) == 2


def test_an_alert_ends_by_itself_when_its_time_is_over(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    clock.advance(14 * HOUR - 1)
    assert len(alerts.active()) == 1
    clock.advance(1)
    assert alerts.active() == []
    assert alerts.get(frost.identifier).words(int(clock.now() * 1000)) == "ended, never confirmed"


def test_the_worst_alert_stands_first(alerts: Alerts, frost: Alert) -> None:
    alerts.raise_alert(replace(frost, identifier="mild", severity=Severity.MINOR))
    alerts.raise_alert(frost)
    alerts.raise_alert(replace(frost, identifier="worst", severity=Severity.EXTREME))
    assert [state.alert.identifier for state in alerts.active()] == ["worst", frost.identifier, "mild"]


def test_a_failure_leaves_neither_alert_nor_record(tmp_path: Path, clock: ManualClock, frost: Alert) -> None:
    with Database(tmp_path / "nameless.db", migrations=MIGRATIONS) as nameless:  # a unit without a name has no records
        alerts = Alerts(nameless, clock, sender="k-1", area="village")
        with pytest.raises(KitError):
            alerts.raise_alert(frost)
        assert alerts.list() == []
        assert change_versions(nameless.connection, ["alerts"]) == (0,)


def test_nothing_that_is_shown_says_delivered(alerts: Alerts, frost: Alert, clock: ManualClock) -> None:
    alerts.raise_alert(frost)
    alerts.confirm(frost.identifier, person="Wanjirũ", channel="web")
    now_ms = int(clock.now() * 1000)
    shown = [str(state.as_json(now_ms)) + state.words(now_ms) for state in alerts.list()]
    assert not any("deliver" in text.lower() for text in shown)
