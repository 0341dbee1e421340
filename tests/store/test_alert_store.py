"""The alerts' tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from kit.model.alert import Alert, Area, MsgType, Receipt, Severity
from kit.model.incident import cancel_of
from kit.store import alerts as store
from kit.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=store.MIGRATIONS) as opened:
        yield opened


def _alert(identifier: str, **changes: object) -> Alert:
    told: dict[str, object] = {
        "sender": "k-1",
        "sent_ms": 1000,
        "event": "frost",
        "severity": Severity.SEVERE,
        "expires_ms": 100_000,
        "area": Area("village"),
    }
    return Alert(identifier=identifier, **(told | changes))  # type: ignore[arg-type]


def test_a_message_is_kept_once(database: Database) -> None:
    assert store.insert_alert(database.connection, _alert("a"))
    assert not store.insert_alert(database.connection, _alert("a"))
    assert len(store.list_alerts(database.connection)) == 1


def test_a_later_message_supersedes_every_earlier_one_of_its_incident(database: Database) -> None:
    first = _alert("a")
    store.insert_alert(database.connection, first)
    store.insert_alert(database.connection, _alert("other"))
    for name in ("b", "c"):
        update = _alert(name, msg_type=MsgType.UPDATE, references=(first.reference,))
        store.insert_alert(database.connection, update)
    superseded = {state.alert.identifier: state.superseded_by for state in store.list_alerts(database.connection)}
    assert superseded == {"a": "b", "b": "c", "c": None, "other": None}
    assert {s.alert.identifier for s in store.active_alerts(database.connection, 0)} == {"c", "other"}


@pytest.mark.parametrize("order", permutations("auvc"))
def test_in_whatever_order_they_come_the_end_ends_it(database: Database, order: tuple[str, ...]) -> None:
    first = _alert("a")
    update = _alert("u", sent_ms=2000, msg_type=MsgType.UPDATE, references=(first.reference,))
    second = _alert("v", sent_ms=3000, msg_type=MsgType.UPDATE, references=(first.reference, update.reference))
    end = cancel_of(second, sender="k-1", now_ms=4000)
    said = {"a": first, "u": update, "v": second, "c": end}
    for name in order:
        store.insert_alert(database.connection, said[name])
        standing = store.active_alerts(database.connection, 0)
        heard = order[: order.index(name) + 1]
        newest = [] if "c" in heard else [max(heard)]
        assert [state.alert.identifier for state in standing] == [{"v": "v", "u": "u", "a": "a"}[n] for n in newest]
    before = [name for name in order[: order.index("c")] if name != "c"]
    cleared = [state.alert.identifier for state in store.standing_all_clears(database.connection, 5000)]
    assert cleared == (["a-clear"] if before else [])


def test_the_end_of_a_warning_that_was_never_here_is_kept_and_shown_nowhere(database: Database) -> None:
    end = cancel_of(_alert("a"), sender="k-1", now_ms=4000)
    assert store.insert_alert(database.connection, end)
    assert store.list_alerts(database.connection) == []
    assert store.standing_all_clears(database.connection, 5000) == []
    assert store.active_alerts(database.connection, 0) == []
    assert store.find_alert(database.connection, "a-clear") is not None


def test_the_first_receipt_of_a_person_stays(database: Database) -> None:
    store.insert_alert(database.connection, _alert("a"))
    first = Receipt(alert="a", person="Wanjirũ", channel="web", at_ms=5)
    assert store.insert_receipt(database.connection, first) is None
    later = Receipt(alert="a", person="Wanjirũ", channel="web", at_ms=9)
    assert store.insert_receipt(database.connection, later) == first
    found = store.find_alert(database.connection, "a")
    assert found is not None
    assert found.receipts == (first,)


def test_what_is_not_there_is_not_found(database: Database) -> None:
    assert store.find_alert(database.connection, "a") is None
    assert store.all_clear_of(database.connection, "a") is None
    assert store.published_digest(database.connection, "alerts/village") is None


def test_the_siren_and_the_topic_are_remembered(database: Database) -> None:
    store.mark_sounded(database.connection, "a", at_ms=1)
    store.mark_sounded(database.connection, "a", at_ms=2)
    assert store.sounded_incidents(database.connection, ["a", "b"]) == {"a"}
    store.mark_published(database.connection, "alerts/village", b"1", at_ms=1)
    store.mark_published(database.connection, "alerts/village", b"2", at_ms=2)
    assert store.published_digest(database.connection, "alerts/village") == b"2"


def test_only_as_many_messages_as_wanted_are_listed_the_newest_first(database: Database) -> None:
    for number in range(5):
        store.insert_alert(database.connection, _alert(f"a{number}"))
    listed = store.list_alerts(database.connection, limit=2)
    assert [state.alert.identifier for state in listed] == ["a4", "a3"]
