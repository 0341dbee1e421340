"""Messages that come many at once are taken together, and come to the same as one by one."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.collect.dialects.port import Access, Guide, Heard, Parsed, ReadsRuns, Setting
from kit.collect.dialects.senml import DIALECT
from kit.collect.ingest import FEW, Ingest
from kit.model.grants import Grants
from kit.model.messages import Published
from kit.model.readings import Quality
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.ingest_state import malformed
from kit.store.packed_value import DECIMAL_BITS, unpack_keys
from kit.store.schema import MIGRATIONS

NOON_S = 1_460_462_400


class OneByOne:
    """The native dialect, which reads one message after the other."""

    name = "native"

    @property
    def guide(self) -> Guide:
        """Of the native dialect, as all that follows."""
        return DIALECT.guide

    def base(self, name: str) -> str:
        return DIALECT.base(name)

    def grants(self, base: str) -> Grants:
        return DIALECT.grants(base)

    def settings(self, base: str, access: Access) -> Sequence[Setting]:
        return DIALECT.settings(base, access)

    def recognise(self, topic: str, payload: bytes) -> str | None:
        return DIALECT.recognise(topic, payload)

    def parse(self, heard: Heard) -> Parsed:
        return DIALECT.parse(heard)


TABLES = (
    "SELECT device, quantity, unit, time_ms, value, code FROM readings JOIN series ON series.id = readings.series",
    "SELECT device, quantity, unit, l.* FROM latest_readings l JOIN series s ON s.id = l.series",
    "SELECT * FROM heard_devices",
    "SELECT * FROM ingest_problems",
    "SELECT messages FROM ingest_taken",
    "SELECT * FROM raw_readings",
    "SELECT * FROM rollup_dirty",
    "SELECT number, boot FROM boots",
)


def _stored(database: Database) -> list[Any]:
    connection = database.connection
    names = {number: names for number, *names in connection.execute("SELECT id, device, quantity, unit FROM series")}
    waiting = [key for (keys,) in connection.execute("SELECT keys FROM unsynced") for key in unpack_keys(keys)]
    undated = connection.execute("SELECT count(*) FROM undated_readings").fetchone()[0]
    return [
        *(Counter(tuple(row) for row in connection.execute(table)) for table in TABLES),
        Counter((*names[series], time_ms) for series, time_ms in waiting),
        undated,
    ]


_mild = st.integers(0, 30).map(lambda n: 20 + n / 10)
"""What is a possible temperature, humidity, dew point, level and weight."""

_values = st.one_of(
    _mild,
    st.sampled_from([21.5, 21.57, 0.0, -0.0, 3.0, 20.123456789, -1.25, 1e14, 400.0]),
    st.integers(-600, 600).map(lambda n: n / 10),
)


def _pair(of: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.tuples(of, of).map(
        lambda v: [{"n": "temperature", "u": "Cel", "v": v[0]}, {"n": "rh", "u": "%RH", "v": v[1]}]
    )


def _trio(of: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.tuples(_pair(of), of).map(lambda v: [*v[0], {"n": "dew_point", "u": "Cel", "v": v[1]}])


def _samples(of: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.tuples(of, of).map(
        lambda v: [{"n": "level", "u": "m", "v": v[0], "t": -60}, {"n": "level", "u": "m", "v": v[1]}]
    )


def _weight(of: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return of.map(lambda v: [{"n": "hive", "u": "kg", "v": v}])


_dated = st.tuples(_values, st.integers(-5, 1)).map(lambda v: [{"n": "level", "u": "m", "v": v[0], "t": NOON_S + v[1]}])
_fahrenheit = _values.map(lambda v: [{"n": "temperature", "u": "degF", "v": v}])
_payload = st.one_of(_pair(_values), _trio(_values), _samples(_values), _weight(_values), _dated, _fahrenheit).map(
    lambda pack: json.dumps(pack).encode()
)
_others = st.sampled_from([b"no SenML", b"[]", b"[1]", b'[{"n":"temperature","u":"Cel","v":"warm"}]'])

# by the last level of their topics: words that say nothing of what is measured
_KINDS: dict[str, Callable[[st.SearchStrategy[float]], st.SearchStrategy[Any]]] = {
    "data": _pair,
    "telemetry": _trio,
    "readings": _samples,
    "values": _weight,
}


def _alike(kind: str) -> st.SearchStrategy[tuple[str, list[bytes]]]:
    """Messages of one topic that differ in their values only: what a device says that was away."""
    packs = st.sampled_from([_mild, _mild, _values]).flatmap(
        lambda of: st.lists(_KINDS[kind](of).map(lambda pack: json.dumps(pack).encode()), min_size=1, max_size=3 * FEW)
    )
    return packs.map(lambda payloads: (kind, payloads))


_mixed = st.lists(st.one_of(_payload, _others), max_size=2 * FEW).map(lambda payloads: ("state", payloads))

_burst = st.tuples(
    st.sampled_from(["a", "b", "stranger"]),
    st.one_of(*map(_alike, ["data", "data", "readings", "telemetry", "values"]), _mixed),
    st.sampled_from([0, 0, 1, 40, 1_000, 61_000, 3_600_000, -500, -90_000]),
    st.sampled_from([1, 1, 1, 2, 0]),
    st.booleans(),
    st.sampled_from([0, 0, 0, 1]),
)
_transactions = st.lists(st.lists(_burst, max_size=4), max_size=6)


def _messages(bursts: Sequence[Any], at_ms: int, packet_ids: Counter[str]) -> tuple[list[Published], int]:
    made = []
    for device, (kind, payloads), later_ms, qos, again, step_ms in bursts:
        at_ms += later_ms
        for payload in payloads:
            at_ms += step_ms
            packet_ids[device] += 1
            packet_id = packet_ids[device] if qos else None
            topic = f"sensors/{device}/{kind}"
            made.append(Published(device, device, topic, payload, qos, False, False, packet_id, at_ms))
        if again and qos and payloads:
            made += [one._replace(duplicate=True) for one in made[-len(payloads) :]]
    return made, at_ms


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two devices; readings before noon are late for its rollups."""
    file = tmp_path_factory.mktemp("empty") / "kit.db"
    with Database(file, migrations=MIGRATIONS) as database:
        for device in ("a", "b"):
            add_device(database.connection, device, now_ms=0)
        database.connection.execute("INSERT INTO rollup_state VALUES (1, ?, 0, 0, 0)", (NOON_S * 1000,))
    return file


@settings(max_examples=80, deadline=None)
@given(_transactions, st.booleans())
def test_a_run_of_messages_leaves_what_they_leave_one_by_one(
    empty: Path, transactions: Sequence[Any], trusted: bool
) -> None:
    together, apart = _taken(empty, transactions, trusted=trusted)
    assert together == apart


def _said(device: str, later_ms: int, *temperatures: float) -> list[Any]:
    payloads = [json.dumps([{"n": "temperature", "u": "Cel", "v": value}]).encode() for value in temperatures]
    return [(device, ("senml", payloads), later_ms, 1, False, 0)]


WARM = [_said("a", 0, 21.5), _said("b", 0, 21.5), _said("a", 1_000, 21.25), _said("b", 0, 21.25)]


@pytest.mark.parametrize(
    ("transactions", "flag"),
    [
        ([*WARM, _said("a", 60_000, 21.5, 21.5, 400.0, 21.5)], Quality.IMPOSSIBLE),
        ([*WARM, *[_said("a", 2 * 3_600_000, *[21.25] * 4)] * 5], Quality.STUCK),
        ([*WARM, _said("a", 60_000, 29.5, *[21.5] * 3)], Quality.STEP),
        (
            [
                *WARM,
                *[_said(name, 40_000, *[21.5] * 4) for _ in range(40) for name in "ab"],
                _said("a", 40_000, *[21.5] * 4, 35.5),
                _said("b", 40_000, *[21.5] * 4),
            ],
            Quality.NEIGHBOUR,
        ),
    ],
)
def test_what_is_doubtful_in_a_run_is_so_for_the_same_readings(
    empty: Path, transactions: Sequence[Any], flag: Quality
) -> None:
    together, apart = _taken(empty, transactions, trusted=True)
    assert together == apart
    assert any(code >> DECIMAL_BITS & flag for *_, code in together[0])


def _taken(empty: Path, transactions: Sequence[Any], *, trusted: bool) -> list[Any]:
    """What is stored of the same messages when they are taken together, and one by one."""
    clock = ManualClock(at_s=NOON_S, trusted=trusted)
    with TemporaryDirectory() as folder, ExitStack() as opened:
        sides = []
        for name, dialects in (("together", None), ("apart", {"native": OneByOne()})):
            file = Path(shutil.copy(empty, Path(folder) / f"{name}.db"))
            sides.append((opened.enter_context(Database(file)), Ingest(clock, dialects=dialects)))
        at_ms, packet_ids = NOON_S * 1000, Counter[str]()
        for bursts in transactions:
            messages, at_ms = _messages(bursts, at_ms, packet_ids)
            clock.at_s = at_ms / 1000
            for database, ingest in sides:
                with database.atomic() as connection:
                    ingest(connection, messages)
        return [_stored(database) for database, _ in sides]


def test_the_native_dialect_reads_runs_and_what_it_is_compared_with_does_not() -> None:
    payloads = [json.dumps([{"n": "temperature", "u": "Cel", "v": n / 4}]).encode() for n in range(1, 6)]
    DIALECT.parse(Heard("sensors/run", payloads[0], ""))
    read = DIALECT.read_run("sensors/run", [*payloads, b"[]", payloads[0]], 1)
    assert read is not None
    assert read.columns == [[0.5, 0.75, 1.0, 1.25]]
    assert not isinstance(OneByOne(), ReadsRuns)


def test_a_run_of_a_device_whose_dialect_is_gone_is_kept_for_the_technician(empty: Path, tmp_path: Path) -> None:
    said = [json.dumps([{"n": "temperature", "u": "Cel", "v": 20 + n / 4}]).encode() for n in range(2 * FEW)]
    DIALECT.parse(Heard("sensors/a/gone", said[0], "gone"))  # the look of the messages is known
    messages = [
        Published("a", "a", "sensors/a/gone", payload, 1, False, False, number, NOON_S * 1000)
        for number, payload in enumerate(said, start=1)
    ]
    with Database(Path(shutil.copy(empty, tmp_path / "kit.db"))) as database:
        ingest = Ingest(ManualClock(at_s=NOON_S), dialects={})
        for some in (messages[:1], messages[1:]):
            with database.atomic() as connection:
                ingest(connection, some)
        (problem,) = malformed(database.connection)
    assert problem.count == len(messages)
    assert "not installed here any more" in problem.last_reason
