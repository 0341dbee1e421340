"""Who may publish and read what. Pure.

A device may do what its grants say and nothing else; the kit's services may do everything:

| user          | publishes                              | reads                                           |
|---------------|----------------------------------------|-------------------------------------------------|
| device NAME   | `sensors/NAME`, below it               | `sensors/NAME/#`, `commands/NAME/#`, `alerts/#` |
|               |                                        | and `status/kit`                                |
| other dialect | its dialect's topics (`docs/dialects`) | its dialect's commands, `alerts/#`              |
| `kit-…`       | everything                             | everything                                      |

A filter is allowed only if one of the grants covers all of it; so a filter that was granted can never match a topic
that may not be read, and neither routing nor retained messages need a second check.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Protocol

from kit.broker.protocol.topics import matches
from kit.model.grants import Grants, native_grants

SERVICE_PREFIX = "kit-"
"""User names of the unit's own services begin like this; no device may be named so."""


class Hearing(Enum):
    """What becomes of a publish."""

    OWN = "own"
    HEARD = "heard"  # the kit reads it; it is neither retained nor handed on
    REFUSED = "refused"


def is_service(username: str) -> bool:
    """Whether it is one of the unit's own services."""
    return username.startswith(SERVICE_PREFIX)


@lru_cache(maxsize=8192)
def hearing(username: str, topic: str, grants: Grants | None = None) -> Hearing:
    """What becomes of a publish by `username`. Names beginning with `$` are the broker's own [MQTT-4.7.2-1].

    Args:
        username: as signed in.
        topic: a valid topic name.
        grants: of that user; None = those of a native device.
    """
    if topic[:1] == "$":
        return Hearing.REFUSED
    if is_service(username):
        return Hearing.OWN
    granted = grants if grants is not None else native_grants(username)
    if any(matches(own, topic) for own in granted.publish):
        return Hearing.OWN
    return Hearing.HEARD if any(matches(heard, topic) for heard in granted.hear) else Hearing.REFUSED


def may_subscribe(username: str, topic_filter: str, grants: Grants | None = None) -> bool:
    """Whether `username` may read everything that `topic_filter` matches."""
    if is_service(username):
        return True
    granted = grants if grants is not None else native_grants(username)
    return any(covers(own, topic_filter) for own in granted.read)


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that the filter `narrow` matches is matched by `wide`, too."""
    wanted = narrow.split("/")
    for depth, level in enumerate(wide.split("/")):
        if level == "#":
            return True
        if depth >= len(wanted) or wanted[depth] == "#" or level not in {"+", wanted[depth]}:
            return False
    return len(wanted) == wide.count("/") + 1


def overlapping(ones: Iterable[str], others: Iterable[str]) -> tuple[str, str] | None:
    """A filter of each of the two that match some topic in common; None if there is none."""
    held = list(others)
    return next(((one, other) for one in ones for other in held if _overlap(one, other)), None)


def _overlap(one: str, other: str) -> bool:
    ours, theirs = one.split("/"), other.split("/")
    for ours_level, theirs_level in zip(ours, theirs, strict=False):
        if "#" in (ours_level, theirs_level):
            return True
        if ours_level != theirs_level and "+" not in (ours_level, theirs_level):
            return False
    shorter, longer = sorted((ours, theirs), key=len)
    # `a/#` also matches `a`
    return len(shorter) == len(longer) or longer[len(shorter) :] == ["#"]


class Access(Protocol):
    """Who may do what; asked on the event loop, so it has to know by heart."""

    def hearing(self, username: str, topic: str, grants: Grants | None) -> Hearing:
        """What becomes of a publish."""
        ...

    def may_subscribe(self, username: str, topic_filter: str, grants: Grants | None) -> bool:
        """Whether the user may read everything that the filter matches."""
        ...


class ByGrants:
    """The rules above."""

    def hearing(self, username: str, topic: str, grants: Grants | None) -> Hearing:
        """See `hearing`."""
        return hearing(username, topic, grants)

    def may_subscribe(self, username: str, topic_filter: str, grants: Grants | None) -> bool:
        """See `may_subscribe`."""
        return may_subscribe(username, topic_filter, grants)
