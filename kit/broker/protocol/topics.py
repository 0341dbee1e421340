"""Topic names, topic filters, and which of them match (MQTT 3.1.1 section 4.7).

A filter's `#` also matches the parent level (`sport/#` matches `sport`); a wildcard in the first level does not match
names that begin with `$` [MQTT-4.7.2-1].
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


def is_topic_name(topic: str) -> bool:
    """Whether a message may be published on it: not empty, no wildcard, no NUL."""
    return bool(topic) and "+" not in topic and "#" not in topic and "\0" not in topic


def is_topic_filter(topic_filter: str) -> bool:
    """Whether it may be subscribed to: each wildcard fills its level, `#` only as the last [MQTT-4.7.1-2, -3]."""
    if not topic_filter or "\0" in topic_filter:
        return False
    levels = topic_filter.split("/")
    return all(_level_is_fine(level, last=number == len(levels)) for number, level in enumerate(levels, start=1))


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


class TopicTrie(Generic[Key]):
    """Who subscribed to what, as a tree of levels: a match costs the depth of the topic, not the number of filters."""

    def __init__(self) -> None:
        self._root: _Node[Key] = _Node()

    def put(self, topic_filter: str, key: Key, qos: int) -> None:
        """Subscribe `key`, or change its QoS."""
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.subscribers[key] = qos

    def remove(self, topic_filter: str, key: Key) -> None:
        """Undo `put`; nothing happens if there was none."""
        path: list[tuple[_Node[Key], str]] = []
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

    def match(self, topic: str) -> dict[Key, int]:
        """Everybody who gets a message on `topic`, once each, with the greatest QoS of their matching filters."""
        found: dict[Key, int] = {}
        for node in self._matching(topic.split("/"), wild_first=topic[:1] != "$"):
            for key, qos in node.subscribers.items():
                if qos > found.get(key, -1):
                    found[key] = qos
        return found

    def _matching(self, levels: list[str], *, wild_first: bool) -> Iterator[_Node[Key]]:
        last = len(levels)
        stack: list[tuple[_Node[Key], int]] = [(self._root, 0)]
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


class _Node(Generic[Key]):
    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Key]] = {}
        self.subscribers: dict[Key, int] = {}


def _level_is_fine(level: str, *, last: bool) -> bool:
    if "#" in level:
        return level == "#" and last
    return "+" not in level or level == "+"
