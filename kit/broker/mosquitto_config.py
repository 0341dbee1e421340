"""What an existing Mosquitto needs so that it loses as little as it can: configuration, users, access rules; pure.

Mosquitto keeps its queues in memory and writes all of them to `mosquitto.db` now and then. By default that is every 30
minutes and with `persistence` off not at all. `autosave_on_changes` with an interval of 1 makes it write at the end of
each turn of its loop in which anything changed: what it acknowledged in that very turn is all that can be lost. It is
no promise like the kit's own: the PUBACK still leaves before the file is written.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from kit.model.grants import Grants

ITERATIONS = 101
"""What mosquitto_passwd of Mosquitto 2.0 uses; passwords are 160 random bits, so guessing is hopeless anyway."""

QUEUED_BYTES = 64_000_000
"""Readings that may wait for the kit: weeks of a village."""


def conf_text(*, host: str, port: int, folder: str) -> str:
    """`mosquitto.conf`.

    Args:
        host: to listen on.
        port: to listen on.
        folder: where the other files are, and where Mosquitto may write.
    """
    return f"""\
# Made by `kit broker mosquitto-config`. What each line is for stands in the kit's docs/broker.md.
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl

# what waits is written down after every change, not every half hour, and survives the death of Mosquitto
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true

# nothing is dropped while the kit is away: by default, all beyond 1000 messages is
max_queued_messages 0
max_queued_bytes {QUEUED_BYTES}
max_inflight_messages 20
# a session is never forgotten
persistent_client_expiration 1y
set_tcp_nodelay true
"""


def acl_text(kit: str, devices: Mapping[str, Grants]) -> str:
    """`acl`: each device its own topics, the kit everything."""
    lines = [f"user {kit}", "topic readwrite #"]
    for name, grants in sorted(devices.items()):
        lines += ["", f"user {name}"]
        lines += [f"topic write {topic}" for topic in dict.fromkeys((*grants.publish, *grants.hear))]
        lines += [f"topic read {topic}" for topic in grants.read]
    return "\n".join(lines) + "\n"


def password_line(name: str, password: str, *, salt: bytes) -> str:
    """A line of `passwords`: PBKDF2 with HMAC-SHA-512, as Mosquitto 2.0 reads it (`$7$`)."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    told = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{name}:$7${ITERATIONS}${'$'.join(told)}"
