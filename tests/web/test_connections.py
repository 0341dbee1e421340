from __future__ import annotations

import threading

from kit.store.facts import count_change
from village_apps.web.trial import TrialKit


def change(kit: TrialKit, subject: str) -> None:
    with kit.store() as database, database.atomic() as connection:
        count_change(connection, subject)


def test_what_another_process_commits_is_seen_by_the_next_request(kit: TrialKit) -> None:
    connections = kit.frame.connections
    before = connections.versions(("forecast/frost", "alerts"))
    change(kit, "alerts")
    assert connections.versions(("forecast/frost", "alerts")) == (before[0], before[1] + 1)


def test_what_a_thread_commits_itself_is_seen_by_it_too(kit: TrialKit) -> None:
    connections = kit.frame.connections
    before = connections.versions(("alerts",))
    with connections.database().atomic() as connection:
        count_change(connection, "alerts")
    assert connections.versions(("alerts",)) == (before[0] + 1,)


def test_while_nothing_is_committed_the_versions_are_not_read_again(kit: TrialKit) -> None:
    connections = kit.frame.connections
    asked: list[str] = []
    connections.versions(("alerts",))
    connections.database().connection.set_trace_callback(asked.append)
    for _ in range(5):
        connections.versions(("alerts",))
    connections.database().connection.set_trace_callback(None)
    assert set(asked) == {"PRAGMA data_version"}


def test_every_thread_has_a_connection_of_its_own(kit: TrialKit) -> None:
    found: list[int] = []

    def note() -> None:
        found.append(id(kit.frame.connections.database()))

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 4
