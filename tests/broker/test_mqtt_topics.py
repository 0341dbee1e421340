"""Topics and filters: the examples of MQTT 3.1.1 section 4.7, and the tree against the plain definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.broker.access import Hearing, hearing, may_subscribe
from kit.broker.protocol.topics import TopicTrie, is_topic_filter, is_topic_name, matches, shared_filter

SPEC = [
    # 4.7.1.2 multi-level wildcard
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("#", "sport/tennis", True),
    # 4.7.1.3 single-level wildcard
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player2", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    # 4.7.2 topics beginning with $
    ("#", "$SYS/uptime", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/monitor", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    # 4.7.3 case and slashes make a difference
    ("ACCOUNTS", "Accounts", False),
    ("Accounts payable", "Accounts payable", True),
    ("/finance", "finance", False),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), SPEC)
def test_the_examples_of_the_standard_hold(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected
    trie: TopicTrie[str, int] = TopicTrie()
    trie.put(topic_filter, "somebody", 1)
    assert bool(trie.match(topic)) is expected


@pytest.mark.parametrize("good", ["#", "+", "+/tennis/#", "sport/+/player1", "/", "sport/tennis/#", "$SYS/#", " "])
def test_filters_that_the_standard_allows(good: str) -> None:
    assert is_topic_filter(good)


@pytest.mark.parametrize("bad", ["", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "sport/+a", "a\0b", "##"])
def test_filters_that_the_standard_forbids(bad: str) -> None:
    assert not is_topic_filter(bad)


@pytest.mark.parametrize("bad", ["", "a/+", "#", "a\0"])
def test_names_that_the_standard_forbids(bad: str) -> None:
    assert not is_topic_name(bad)


levels = st.sampled_from(["a", "b", "", "$c"])
names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(is_topic_name)
wild = st.lists(st.sampled_from(["a", "b", "", "$c", "+", "#"]), min_size=1, max_size=4).map("/".join)
subscriptions = st.lists(st.tuples(wild.filter(is_topic_filter), st.integers(0, 5), st.integers(0, 2)), max_size=12)


@given(subscriptions, names, st.data())
def test_the_tree_finds_whom_the_definition_finds(
    subscribed: list[tuple[str, int, int]], topic: str, data: st.DataObject
) -> None:
    trie: TopicTrie[int, int] = TopicTrie()
    held: dict[tuple[str, int], int] = {}
    for topic_filter, who, qos in subscribed:
        trie.put(topic_filter, who, qos)
        held[topic_filter, who] = qos
    for topic_filter, who in data.draw(st.lists(st.sampled_from(sorted(held)), unique=True)) if held else []:
        trie.remove(topic_filter, who)
        del held[topic_filter, who]
    expected: dict[int, list[int]] = {}
    for (topic_filter, who), qos in held.items():
        if matches(topic_filter, topic):
            expected.setdefault(who, []).append(qos)
    found = trie.match(topic)
    assert {who: sorted(values) for who, values in found.items()} == {w: sorted(v) for w, v in expected.items()}


def test_an_empty_tree_keeps_no_nodes_of_former_filters() -> None:
    trie: TopicTrie[str, int] = TopicTrie()
    trie.put("a/b/c", "x", 0)
    trie.put("a/+", "x", 0)
    trie.remove("a/b/c", "x")
    trie.remove("a/+", "x")
    trie.remove("never/there", "x")
    assert not trie._root.children


def test_a_device_owns_what_is_below_its_own_name() -> None:
    assert hearing("roof", "sensors/roof") is Hearing.OWN
    assert hearing("roof", "sensors/roof/tele/STATE") is Hearing.OWN
    for topic in ("sensors/field", "sensors/roof2", "sensors", "commands/roof", "alerts/village", "$SYS/x", "roof"):
        assert hearing("roof", topic) is Hearing.REFUSED


def test_a_device_reads_its_own_its_commands_and_the_alerts() -> None:
    for good in ("sensors/roof/#", "sensors/roof", "sensors/roof/+", "commands/roof/#", "alerts/#", "alerts/+"):
        assert may_subscribe("roof", good)
    for bad in ("#", "+/roof/#", "sensors/#", "sensors/+/x", "sensors/field/#", "+", "status/#", "$SYS/#", "alert/#"):
        assert not may_subscribe("roof", bad)


def test_the_kits_own_services_may_do_everything_but_speak_for_the_broker() -> None:
    assert hearing("kit-collect", "alerts/village") is Hearing.OWN
    assert may_subscribe("kit-collect", "#")
    assert hearing("kit-collect", "$SYS/uptime") is Hearing.REFUSED


@given(wild.filter(is_topic_filter), names)
def test_no_filter_that_is_granted_reaches_a_topic_that_is_not_the_devices(topic_filter: str, topic: str) -> None:
    for prefix in ("sensors/", "commands/", "alerts/", ""):
        wanted, name = prefix + topic_filter, prefix + topic
        if may_subscribe("a", wanted) and matches(wanted, name):
            assert name.split("/")[0] == "alerts" or name.split("/")[:2] in (["sensors", "a"], ["commands", "a"])


def test_a_shared_subscription_names_its_group_and_a_filter() -> None:
    assert shared_filter("$share/readers/sensors/+") == "sensors/+"
    assert shared_filter("$share/readers//") == "/"
    for bad in ("$share/readers", "$share/readers/", "$share//sensors", "$share/a+/b", "$share/#/b", "$share/a/b/#/c"):
        assert not is_topic_filter(bad), bad
    assert shared_filter("$shared/a/b") is None
    assert shared_filter("$share/a/$share/b/c") is None
