"""Who waits for the disk: the event loop while it is quick, a thread when it is slow or when somebody else writes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.broker.changes import Change, Fact, Saved
from kit.broker.committer import QUICK_S, Committer, Pace
from kit.broker.ports import JournalError
from kit.broker.protocol.packets import Puback, Publish, Suback, Subscribe
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.mqtt import MqttJournal
from tests.broker.conftest import another_writer, empty_store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.conftest import Unit

MESSAGE = Published("roof", "roof", "sensors/roof", b"x", 1, retain=False, duplicate=False, packet_id=1, received_ms=0)


class Collector:
    """Keeps what comes, and who brought it; its disk can be full or slow."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.full = False

    def __call__(self, connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        self.threads.append(threading.current_thread())
        connection.executemany("INSERT INTO seen (payload) VALUES (?)", [(p.payload,) for p in publishes])
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


class Card:
    """A journal on a card that takes its time."""

    def __init__(self, journal: MqttJournal) -> None:
        self._journal = journal
        self.wait_s = 0.0

    def load(self) -> Saved:
        return self._journal.load()

    def commit(
        self, changes: Sequence[Change | Fact], *, patient: bool = True, at_disk: Callable[[], object] | None = None
    ) -> None:
        self._journal.commit(changes, patient=patient, at_disk=at_disk)
        time.sleep(self.wait_s)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "kit.db"
    made.write_bytes(empty_store())
    return made


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def card(file: Path, collector: Collector) -> Iterator[Card]:
    with Database(file) as store:
        yield Card(MqttJournal(store, ingest=collector))


async def submit(committer: Committer) -> JournalError | None:
    done: asyncio.Future[JournalError | None] = asyncio.get_running_loop().create_future()
    committer.submit([MESSAGE], done.set_result)
    return await asyncio.wait_for(done, 10)


def commits(card: Card, number: int) -> list[JournalError | None]:
    async def main() -> list[JournalError | None]:
        with Committer(card, asyncio.get_running_loop()) as committer:
            return [await submit(committer) for _ in range(number)]

    return asyncio.run(main())


# --- the decision


def test_a_disk_that_is_not_known_yet_is_tried_on_the_loop() -> None:
    assert Pace().is_quick


def test_a_slow_card_is_left_to_the_thread_after_a_few_commits() -> None:
    pace, tried = Pace(), 0
    while pace.is_quick:
        pace.waited(0.02)
        tried += 1
    assert tried == 3


def test_one_long_wait_on_a_quick_disk_is_forgotten_after_some_commits() -> None:
    pace, handed_over = Pace(), 0
    pace.waited(0.1)
    while not pace.is_quick:
        pace.waited(0.0005)
        handed_over += 1
    assert handed_over == 8


@given(st.lists(st.floats(0, QUICK_S * 0.99), max_size=50))
def test_a_disk_that_is_always_quick_never_has_the_thread_called(waits: list[float]) -> None:
    pace = Pace()
    for wait in waits:
        pace.waited(wait)
        assert pace.is_quick


# --- the committer on a real store


def test_a_quick_disk_is_waited_for_on_the_loop_and_the_answer_is_there_at_once(
    card: Card, collector: Collector
) -> None:
    async def main() -> list[JournalError | None]:
        answers: list[JournalError | None] = []
        with Committer(card, asyncio.get_running_loop()) as committer:
            committer.submit([MESSAGE], answers.append)
            return list(answers)

    assert asyncio.run(main()) == [None]
    assert collector.threads == [threading.current_thread()]


def test_on_a_slow_card_the_thread_waits_and_on_a_quick_one_the_loop_again(card: Card, collector: Collector) -> None:
    async def main() -> list[int]:
        turns = []
        with Committer(card, asyncio.get_running_loop()) as committer:
            for card.wait_s, enough in ((0.03, not_the_loops), (0.0, the_loops)):
                before = len(collector.threads)
                while len(collector.threads) == before or not enough():
                    assert await submit(committer) is None
                turns.append(len(collector.threads) - before)
        return turns

    def the_loops() -> bool:
        return collector.threads[-1] is threading.main_thread()

    def not_the_loops() -> bool:
        return not the_loops()

    slow, quick = asyncio.run(main())
    assert slow <= 4
    assert quick > 1


def test_another_writer_is_waited_for_by_the_thread_while_the_loop_goes_on(
    card: Card, collector: Collector, file: Path
) -> None:
    async def main() -> tuple[list[str], JournalError | None]:
        order = []
        with Committer(card, asyncio.get_running_loop()) as committer, another_writer(file) as other:
            waiting = asyncio.create_task(submit(committer))
            await asyncio.sleep(0.05)
            order.append("written" if waiting.done() else "waits")
            other.execute("COMMIT")
            answer = await waiting
            committer.submit([MESSAGE], lambda _: order.append("at once"))
            order.append("returned")
        return order, answer

    assert asyncio.run(main()) == (["waits", "at once", "returned"], None)
    assert [thread.name for thread in collector.threads] == ["broker-journal", threading.current_thread().name]


def test_what_comes_while_the_thread_has_a_batch_waits_behind_it(card: Card, collector: Collector, file: Path) -> None:
    async def main() -> list[JournalError | None]:
        with Committer(card, asyncio.get_running_loop()) as committer:
            with another_writer(file):
                first = asyncio.create_task(submit(committer))
                await asyncio.sleep(0.01)
                second = asyncio.create_task(submit(committer))
                await asyncio.sleep(0.01)
            return [await first, await second]

    assert asyncio.run(main()) == [None, None]
    assert {thread.name for thread in collector.threads} == {"broker-journal"}


def test_a_commit_that_fails_on_the_loop_is_told_and_nothing_of_it_is_kept(
    card: Card, collector: Collector, file: Path
) -> None:
    collector.full = True
    (problem,) = commits(card, 1)
    assert "disk is full" in str(problem)
    collector.full = False
    assert commits(card, 1) == [None]
    assert set(collector.threads) == {threading.current_thread()}
    with Database(file, read_only=True) as database:
        assert [row[0] for row in database.connection.execute("SELECT payload FROM seen")] == [b"x"]


# --- the broker


def test_behind_another_writer_nobody_is_acknowledged_and_everybody_else_is_answered(unit: Unit) -> None:
    with unit.connect("roof") as roof, unit.connect("field") as field, another_writer(unit.file) as other:
        roof.send(Publish("sensors/roof", b"waits", 1, packet_id=1))
        assert roof.hears_nothing()
        field.socket.sendall(b"\xc0\x00")  # PINGREQ
        assert field.socket.recv(2) == b"\xd0\x00"
        other.execute("COMMIT")
        roof.expect(Puback(1))
    assert unit.seen() == [b"waits"]


def test_a_broker_whose_commit_fails_on_the_loop_takes_all_of_it_back(serve: Callable[..., Unit]) -> None:
    collector = Collector()
    unit = serve(ingest=collector)
    unit.add_device("roof")
    with unit.connect("roof", clean=False) as roof:
        collector.full = True
        roof.send(Subscribe(9, (("commands/roof/#", 1),)), Publish("sensors/roof", b"lost?", 1, packet_id=1))
        assert roof.is_closed()
    collector.full = False
    with unit.connect("roof", clean=False, present=True) as roof, unit.connect() as service:
        service.publish("commands/roof/x", b"nobody has subscribed")
        assert roof.hears_nothing()
        roof.send(Subscribe(9, (("commands/roof/#", 1),)))
        roof.expect(Suback(9, (1,)))
    assert len({thread.name for thread in collector.threads}) == 1
    assert unit.seen() == [b"nobody has subscribed"]
