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
from typing import Protocol

from kit.broker.protocol.topics import matches, shared_filter
from kit.model.grants import Grants, native_grants

SERVICE_PREFIX = "kit-"
"""User names of the unit's own services begin like this; no device may be named so."""

TOPICS_REMEMBERED = 8_192
"""With their user, for which it is remembered whether it may publish there."""


class Hearing(Enum):
    """What becomes of a publish."""

    OWN = "own"
    HEARD = "heard"  # the kit reads it; it is neither retained nor handed on
    REFUSED = "refused"


def is_service(username: str) -> bool:
    """Whether it is one of the unit's own services."""
    return username.startswith(SERVICE_PREFIX)


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


class Rights:
    """What each user that has signed in may do, remembered: it is asked for every message there is.

    Args:
        access: knows the rules.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._grants: dict[str, Grants | None] = {}
        self._heard: dict[tuple[str, str], Hearing] = {}

    def grant(self, username: str, grants: Grants | None) -> None:
        """From now on the user may do this; None = what a native device may."""
        if username not in self._grants or self._grants[username] != grants:
            self.forget(username)
            self._grants[username] = grants

    def forget(self, username: str) -> None:
        """The user is no more, or may do something else."""
        self._grants.pop(username, None)
        self._heard.clear()

    def hearing(self, username: str, topic: str) -> Hearing:
        """What becomes of a publish."""
        heard = self._heard.get((username, topic))
        if heard is None:
            if len(self._heard) >= TOPICS_REMEMBERED:
                self._heard.clear()
            heard = self._access.hearing(username, topic, self._grants.get(username))
            self._heard[username, topic] = heard
        return heard

    def may_read(self, username: str, topic_filter: str) -> bool:
        """Whether the user may read everything that the filter, shared or not, matches."""
        wanted = shared_filter(topic_filter) or topic_filter
        return self._access.may_subscribe(username, wanted, self._grants.get(username))
