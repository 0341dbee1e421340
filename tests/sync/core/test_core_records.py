"""What kits send is kept once, applied once, and never believed of somebody else."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.model.alert import MsgType, Reference
from kit.model.readings import Quality, Reading
from sync.core import applied_rows
from sync.core.page import make_app
from sync.core.sqlite_store import SqliteCoreStore, store_file
from sync.core.store import Outcome
from sync.core.view import record_json
from sync.protocol.beacons import NOTHING, Holding
from sync.protocol.records import Priority, Record, RecordId

HOUR_MS = 3_600_000


def outcomes(city: Any) -> list[str]:
    return [record.outcome.value for record in city.store.taken()]


def shown(city: Any, kit: Any) -> tuple[Any, ...]:
    """Everything the page reads of a kit."""
    store = city.store
    return (
        store.alerts(kit.unit, until_after_ms=0),
        store.series(kit.unit),
        store.forecast(kit.unit),
        store.quizzes(kit.unit),
        store.early_receipts(kit.unit),
        store.counts(),
    )


def forecast(kit: Any, night: str, tmin_c: float, *, at_ms: int) -> Any:
    body = {"n": night, "d": "station-1", "t": [round(tmin_c * 100), -300, 10], "p": 62, "w": True}
    return kit.record("forecast", cbor2.dumps(body), priority=3, created_ms=at_ms)


def quiz(kit: Any, *, attempts: int, mean: float) -> Any:
    body = {
        "lesson": "when-frost-comes", "version": 1, "since_ms": 0, "until_ms": 5, "attempts": attempts,
        "questions": 5, "mean_score": mean, "right": [1],
    }  # fmt: skip
    return kit.record("quiz", cbor2.dumps(body), priority=3)


def test_a_warning_and_its_receipt_are_told_together(city: Any) -> None:
    kit = city.joined()
    city.take(city.alert(kit), city.receipt(kit, "Amina"))
    (state,) = city.store.alerts(kit.unit, until_after_ms=city.now_ms)
    assert state.alert.parameters["tmin_c"] == -2.1
    assert [receipt.person for receipt in state.receipts] == ["Amina"]
    assert outcomes(city) == ["applied", "applied"]


def test_records_that_come_twice_or_three_times_change_nothing(city: Any) -> None:
    kit = city.joined()
    city.take(city.alert(kit), city.receipt(kit), city.readings(kit, {1000: 3.4, 2000: 3.3}))
    city.take(quiz(kit, attempts=3, mean=4.0), forecast(kit, "2016-04-24", -1.3, at_ms=city.now_ms))
    before = shown(city, kit)
    city.take(*kit.sent)
    city.take(*kit.sent, link="cellular")
    city.take(kit.sent[0], kit.sent[0])
    assert shown(city, kit) == before
    assert [record.link for record in city.store.taken()] == ["lora"] * 5
    assert city.store.refused(limit=10) == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)))
def test_the_order_of_arrival_does_not_matter(city: Any, order: list[int]) -> None:
    kit = city.joined()
    first = Reference("k", "frost-1", city.now_ms)
    records = [
        city.alert(kit, parameters={"tmin_c": -1.0}),
        city.receipt(kit, "Amina"),
        city.alert(kit, "frost-1-1", msg_type=MsgType.UPDATE, references=(first,), parameters={"tmin_c": -2.0}),
        city.readings(kit, {1000: 3.4, 2000: 3.3}),
        city.readings(kit, {2000: 3.3, 3000: 3.1}),
        forecast(kit, "2016-04-24", -1.3, at_ms=city.now_ms),
        forecast(kit, "2016-04-24", -2.3, at_ms=city.now_ms),
        quiz(kit, attempts=3, mean=4.0),
    ]
    for number in order:
        city.take(records[number])
    (state,) = city.store.alerts(kit.unit, until_after_ms=city.now_ms)
    assert (state.alert.identifier, len(state.receipts)) == ("frost-1-1", 1)
    (series,) = city.store.series(kit.unit)
    assert (series.count, series.latest_ms, series.latest_value) == (3, 3000, 3.1)
    told = city.store.forecast(kit.unit)
    assert (told.tmin_c, told.p_frost, told.warning) == (-2.3, 0.62, True)


def test_a_receipt_that_overtakes_its_warning_waits_for_it(city: Any) -> None:
    kit = city.joined()
    alert, receipt = city.alert(kit), city.receipt(kit)
    city.take(receipt)
    assert city.store.early_receipts(kit.unit) == 1
    assert city.store.alerts(kit.unit, until_after_ms=0) == []
    city.take(alert)
    assert city.store.early_receipts(kit.unit) == 0
    (state,) = city.store.alerts(kit.unit, until_after_ms=0)
    assert state.receipts


def test_an_all_clear_ends_the_warning_and_who_had_confirmed_it_stays_known(city: Any) -> None:
    kit = city.joined()
    city.take(city.alert(kit), city.receipt(kit))
    clear = city.alert(
        kit, "frost-1-clear", msg_type=MsgType.CANCEL, references=(Reference("k", "frost-1", city.now_ms),)
    )
    city.take(clear)
    (state,) = city.store.alerts(kit.unit, until_after_ms=city.now_ms)
    assert state.ended(city.now_ms)
    assert [receipt.person for receipt in state.receipts] == ["Amina"]


def test_a_record_of_the_same_name_with_another_body_is_refused_and_kept_apart(city: Any) -> None:
    kit = city.joined()
    alert = city.alert(kit)
    city.take(alert)
    other = replace(alert, body=alert.body + b"\0")
    city.take(other)
    city.take(other)
    (refused,) = city.store.refused(limit=10)
    assert (refused.id, refused.times, refused.peer) == (alert.id, 2, kit.unit)
    assert "another record is already held under this name" in refused.reason
    assert len(list(city.store.taken())) == 1
    assert city.store.held([alert.id]) == {alert.id}


def test_a_kit_speaks_for_itself_only(city: Any) -> None:
    kit, victim = city.joined("Thief"), city.joined("Orchard")
    theirs = city.alert(victim)
    city.take(theirs, peer=kit.unit)
    assert city.store.alerts(victim.unit, until_after_ms=0) == []
    # the name is still free for the kit whose it is: were it "held", the true warning would be thrown away
    assert city.store.held([theirs.id]) == set()
    city.take(theirs)
    assert len(city.store.alerts(victim.unit, until_after_ms=0)) == 1
    (refused,) = city.store.refused(limit=10)
    assert refused.reason == f"{kit.unit} sent it under the name of {victim.unit}"


def test_two_kits_may_use_the_same_words_without_touching_each_other(city: Any) -> None:
    one, two = city.joined("One"), city.joined("Two")
    city.take(city.alert(one), city.readings(one, {1000: 1.0}))
    city.take(city.alert(two), city.receipt(two), city.readings(two, {1000: 2.0}))
    assert not city.store.alerts(one.unit, until_after_ms=0)[0].receipts
    assert city.store.series(one.unit)[0].latest_value == 1.0


def test_a_kit_gone_mad_does_not_fill_the_disk_with_refused_records(city: Any) -> None:
    kit = city.joined()
    alert = city.alert(kit)
    file = store_file(city.core.home, city.core.settings.core)
    with SqliteCoreStore(file, city.core.identity, refused_kept=5) as store:
        told = (alert, *(replace(alert, body=bytes((number,))) for number in range(20)))
        store.take(told, peer=kit.unit, link="lora", at_ms=city.now_ms)
    assert len(city.store.refused(limit=100)) == 5
    assert sum(each.times for each in city.store.refused(limit=100)) == 20


@pytest.mark.parametrize("kind", ["alert", "receipt", "readings", "forecast", "quiz"])
@pytest.mark.parametrize("body", [b"", b"\xff", b"\x9f", cbor2.dumps([1, 2]), cbor2.dumps({}), b"\x00" * 1000])
def test_a_body_that_cannot_be_read_is_kept_with_the_reason(city: Any, kind: str, body: bytes) -> None:
    kit = city.joined()
    record = kit.record(kind, body)
    city.take(record)
    assert city.store.held([record.id]) == {record.id}
    (kept,) = city.store.undecodable(limit=10)
    assert (kept.outcome, kept.size_bytes) == (Outcome.UNDECODABLE, len(body))
    assert kept.reason


def test_an_unreadable_record_does_not_take_its_neighbours_with_it(city: Any) -> None:
    kit = city.joined()
    city.take(city.alert(kit), kit.record("receipt", b"broken"), city.readings(kit, {1000: 3.4}))
    assert outcomes(city) == ["applied", "undecodable", "applied"]
    assert city.store.counts().undecodable == 1
    assert city.store.counts().taken == 3


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(applied_rows.known_kinds()),
    body=st.binary(max_size=60)
    | JUNK.map(cbor2.dumps)
    | st.lists(JUNK, min_size=4, max_size=12).map(lambda rest: cbor2.dumps([1, *rest])),
    created_ms=st.integers(-(2**62), 2**62),
)
def test_no_body_whatsoever_breaks_the_core_or_its_page(city: Any, kind: str, body: bytes, created_ms: int) -> None:
    if not city.store.kits():
        city.joined()
        city.client = make_app(city.core).test_client()
    (enrolled,) = city.store.kits()
    number = enrolled.records + 1
    name = RecordId(enrolled.unit, 1, number)
    record = Record(id=name, kind=kind, priority=Priority.BULK, created_ms=created_ms, body=body)
    city.take(record)
    assert city.store.held([name]) == {name}
    assert [record_json(each)["seq"] for each in city.store.taken(limit=1)] == [number]
    for path in ("/", "/api/v1/kits"):
        assert city.client.get(path).status_code == 200


def test_a_kind_this_version_does_not_know_is_kept_and_applied_by_the_version_that_does(city: Any) -> None:
    kit = city.joined()
    known = applied_rows._APPLIERS.pop("quiz")
    try:
        city.take(quiz(kit, attempts=3, mean=4.0), kit.record("dance", b"\x01"))
        assert outcomes(city) == ["raw", "raw"]
        assert city.store.quizzes(kit.unit) == []
    finally:
        applied_rows._APPLIERS["quiz"] = known
    assert city.store.apply_what_was_not(at_ms=city.now_ms) == 1
    assert city.store.apply_what_was_not(at_ms=city.now_ms) == 0
    assert outcomes(city) == ["applied", "raw"]
    assert city.store.quizzes(kit.unit)[0].attempts == 3
    assert (city.store.counts().applied, city.store.counts().raw) == (1, 1)


def test_quiz_digests_add_up(city: Any) -> None:
    kit = city.joined()
    city.take(quiz(kit, attempts=1, mean=2.0), quiz(kit, attempts=3, mean=4.0))
    (told,) = city.store.quizzes(kit.unit)
    assert (told.attempts, told.questions, told.mean_score) == (4, 5, 3.5)


def test_a_reading_from_the_future_is_kept_but_is_never_the_latest(city: Any) -> None:
    from kit.model.batch import encode_batch

    kit = city.joined()
    rows = [
        Reading(device="d", quantity="temperature", unit="Cel", time_ms=1000, value=3.0),
        Reading(
            device="d", quantity="temperature", unit="Cel", time_ms=2**50, value=9.0, quality=Quality.TIME_DOUBTFUL
        ),
    ]
    city.take(kit.record("readings", encode_batch(rows)))
    (series,) = city.store.series(kit.unit)
    assert (series.count, series.latest_value) == (2, 3.0)


def test_the_core_s_own_records_go_to_the_kit_they_are_for_until_it_has_them(city: Any) -> None:
    kit, other = city.joined("One"), city.joined("Two")
    late = city.store.write(addressee=kit.unit, kind="message", priority=2, body=b"b", now_ms=city.now_ms)
    soon = city.store.write(addressee=kit.unit, kind="alert", priority=0, body=b"a", now_ms=city.now_ms, lifetime_s=60)
    ids = [record.id for record in city.store.outgoing(kit.unit, now_ms=city.now_ms, limit=10)]
    assert ids == [soon, late]
    assert (late.origin, late.seq, soon.seq) == (city.core.identity.unit, 1, 2)
    assert city.store.outgoing(other.unit, now_ms=city.now_ms, limit=10) == []
    assert [r.id for r in city.store.outgoing(kit.unit, now_ms=city.now_ms + 61_000, limit=10)] == [late]
    city.store.left(ids, peer=kit.unit, link="lora", at_ms=city.now_ms)
    city.store.accepted([soon], peer=other.unit, link="lora", at_ms=city.now_ms)  # not the one it is for
    assert len(city.store.outgoing(kit.unit, now_ms=city.now_ms, limit=10)) == 2
    city.store.accepted([soon], peer=kit.unit, link="lora", at_ms=city.now_ms)
    assert [record.id for record in city.store.outgoing(kit.unit, now_ms=city.now_ms, limit=10)] == [late]
    assert list(city.store.taken()) == []


def test_sessions_are_kept_by_kit(city: Any) -> None:
    assert city.store.load_session("kit-a") is None
    city.store.save_session("kit-a", b"1")
    city.store.save_session("kit-a", b"2")
    assert city.store.load_session("kit-a") == b"2"


def test_records_can_be_asked_for_by_kit_and_kind_and_by_how_many(city: Any) -> None:
    one, two = city.joined("One"), city.joined("Two")
    for number in range(5):
        city.take(city.readings(one, {number * 1000: 1.0}), peer=one.unit)
    city.take(city.alert(two))
    taken = city.store.taken
    assert [record.id.seq for record in taken(unit=one.unit, limit=2)] == [4, 5]
    assert [record.id.origin for record in taken(kind="alert")] == [two.unit]
    assert len(list(taken())) == 6


def test_more_names_than_one_query_takes_can_be_asked_for(city: Any) -> None:
    kit = city.joined()
    city.take(*(city.readings(kit, {number * 1000: 1.0}) for number in range(500)))
    names = [RecordId(kit.unit, kit.epoch, seq) for seq in range(1, 1001)]
    assert city.store.held(names) == set(names[:500])


WRITER = """
import sys
from pathlib import Path
from kit.home import Home
from kit.model.batch import encode_batch
from kit.model.readings import Reading
from sync.core.setup import open_core
from sync.protocol.records import Priority, Record, RecordId

core, unit = open_core(Home(Path(sys.argv[1]))), sys.argv[2]
with core.open_store() as store:
    for seq in range(1, 100_000):
        rows = [Reading(device="d", quantity="t", unit="Cel", time_ms=seq * 10 + i, value=i) for i in range(3)]
        record = Record(id=RecordId(unit, 1, seq), kind="readings", priority=Priority.READING, created_ms=seq,
                        body=encode_batch(rows))
        store.take([record], peer=unit, link="lora", at_ms=seq)
        print(seq, flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_there_after_it_and_wholly_applied(city: Any) -> None:
    rng = random.Random(5)
    for round_number in range(4):
        unit = f"kit-{round_number}"
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(city.core.home.path), unit], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        wanted = rng.randrange(20, 120)
        acknowledged = [int(line) for line in itertools.islice(process.stdout, wanted)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
        kept = [record.id.seq for record in city.store.taken(unit=unit)]
        assert set(acknowledged) <= set(kept)
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) <= len(acknowledged) + 1
        (series,) = city.store.series(unit)
        assert series.count == 3 * len(kept)


def test_the_core_tells_what_it_holds_of_a_kit_with_the_newest_gaps(city: Any) -> None:
    kit = city.joined()
    assert city.store.holdings(kit.unit) == (NOTHING,)
    gaps = (3, 6, 9, 12, 15, 18, 21, 24, 27)
    records = [kit.record("note", bytes((number,))) for number in range(40)]
    city.take(*[each for each in records if each.id.seq not in gaps], peer=kit.unit)
    (told,) = city.store.holdings(kit.unit)
    assert told.epoch == kit.epoch
    assert [seq for seq in range(1, 41) if not told.has(seq)] == list(gaps[-7:])
    assert told.has(40)
    assert not told.has(41)


def test_a_kit_rebuilt_from_its_backup_is_offered_again_what_it_had_accepted(city: Any) -> None:
    kit, other = city.joined(), city.joined("Another village")
    mine = [
        city.store.write(addressee=unit, kind="message", priority=2, body=b"\x01", now_ms=city.now_ms)
        for unit in (kit.unit, other.unit, kit.unit, other.unit, kit.unit)
    ][::2]
    city.store.accepted(mine, peer=kit.unit, link="lora", at_ms=city.now_ms)
    held = Holding(mine[0].epoch, 1, ((1, 2), (5, 6)))  # it lost the second
    assert city.store.refill(kit.unit, (held,)) == 1
    assert [each.id.seq for each in city.store.outgoing(kit.unit, now_ms=city.now_ms, limit=9)] == [3]
