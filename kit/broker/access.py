"""Who may publish and read what. Pure.

A device owns the names below its own and nothing else; the kit's services may do everything:

| user        | publishes                   | reads                                             |
|-------------|-----------------------------|---------------------------------------------------|
| device NAME | `sensors/NAME`, below it    | `sensors/NAME/#`, `commands/NAME/#`, `alerts/#`   |
| `kit-…`     | everything                  | everything                                        |

A filter is allowed only if its literal beginning keeps it inside; so a filter that was granted can never match a topic
that may not be read, and neither routing nor retained messages need a second check.
"""

from __future__ import annotations

SERVICE_PREFIX = "kit-"
"""User names of the unit's own services begin like this; no device may be named so."""


def is_service(username: str) -> bool:
    """Whether it is one of the unit's own services."""
    return username.startswith(SERVICE_PREFIX)


def may_publish(username: str, topic: str) -> bool:
    """Whether `username` may publish on `topic`. Names beginning with `$` are the broker's own [MQTT-4.7.2-1]."""
    if is_service(username):
        return topic[:1] != "$"
    own = f"sensors/{username}"
    return topic == own or topic.startswith(own + "/")


def may_subscribe(username: str, topic_filter: str) -> bool:
    """Whether `username` may read everything that `topic_filter` matches."""
    if is_service(username):
        return True
    levels = topic_filter.split("/")
    return levels[0] == "alerts" or (levels[0] in {"sensors", "commands"} and levels[1:2] == [username])
