"""Topic names, topic filters, and which of them match (section 4.7 of MQTT 3.1.1 and 5).

A filter's `#` also matches the parent level (`sport/#` matches `sport`); a wildcard in the first level does not match
names that begin with `$` [MQTT-4.7.2-1].
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

SHARE = "$share/"
"""A filter that begins so is a shared subscription: `$share/<name>/<filter>` (MQTT 5 section 4.8.2)."""


def is_topic_name(topic: str) -> bool:
    """Whether a message may be published on it: not empty, no wildcard, no NUL."""
    return bool(topic) and "+" not in topic and "#" not in topic and "\0" not in topic


def is_topic_filter(topic_filter: str) -> bool:
    """Whether it may be subscribed to: each wildcard fills its level, `#` only as the last [MQTT-4.7.1-2, -3]."""
    if not topic_filter or "\0" in topic_filter:
        return False
    if topic_filter.startswith(SHARE):
        shared = shared_filter(topic_filter)
        return shared is not None and is_topic_filter(shared)
    levels = topic_filter.split("/")
    return all(_level_is_fine(level, last=number == len(levels)) for number, level in enumerate(levels, start=1))


def shared_filter(topic_filter: str) -> str | None:
    """The filter inside a shared subscription; None if it is none, or not a proper one [MQTT-4.8.2-1, -2]."""
    if not topic_filter.startswith(SHARE):
        return None
    name, _, inner = topic_filter[len(SHARE) :].partition("/")
    proper = name and "+" not in name and "#" not in name and not inner.startswith(SHARE)
    return inner if proper and inner else None


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message on `topic` goes to a subscription of `topic_filter`."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic[:1] == "$" and wanted[0] in {"#", "+"}:
        return False
    for depth, level in enumerate(wanted):
        if level == "#":
            return True
        if depth >= len(levels) or level not in {"+", levels[depth]}:
            return False
    return len(wanted) == len(levels)


class TopicTrie(Generic[Key, Value]):
    """Who subscribed to what, as a tree of levels: a match costs the depth of the topic, not the number of filters."""

    def __init__(self) -> None:
        self._root: _Node[Key, Value] = _Node()

    def put(self, topic_filter: str, key: Key, value: Value) -> None:
        """Subscribe `key`, or change its subscription."""
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.subscribers[key] = value

    def remove(self, topic_filter: str, key: Key) -> None:
        """Undo `put`; nothing happens if there was none."""
        path: list[tuple[_Node[Key, Value], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            if level not in node.children:
                return
            path.append((node, level))
            node = node.children[level]
        node.subscribers.pop(key, None)
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.children or child.subscribers:
                return
            del parent.children[level]

    def match(self, topic: str) -> dict[Key, list[Value]]:
        """Everybody who gets a message on `topic`, with all their subscriptions that match it."""
        found: dict[Key, list[Value]] = {}
        for node in self._matching(topic.split("/"), wild_first=topic[:1] != "$"):
            for key, value in node.subscribers.items():
                found.setdefault(key, []).append(value)
        return found

    def _matching(self, levels: list[str], *, wild_first: bool) -> Iterator[_Node[Key, Value]]:
        last = len(levels)
        stack: list[tuple[_Node[Key, Value], int]] = [(self._root, 0)]
        while stack:
            node, depth = stack.pop()
            children = node.children
            wild = wild_first or depth > 0
            if wild and "#" in children:
                yield children["#"]
            if depth == last:
                yield node
                continue
            if wild and "+" in children:
                stack.append((children["+"], depth + 1))
            if levels[depth] in children:
                stack.append((children[levels[depth]], depth + 1))


class _Node(Generic[Key, Value]):
    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Key, Value]] = {}
        self.subscribers: dict[Key, Value] = {}


def _level_is_fine(level: str, *, last: bool) -> bool:
    if "#" in level:
        return level == "#" and last
    return "+" not in level or level == "+"
