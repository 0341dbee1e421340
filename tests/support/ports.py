"""Ports for what a test starts in a process of its own."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

LOWEST = 20_000


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens, below those that the system gives to outgoing connections.

    One of those that a test found free would be taken by some connection before its unit listens there, now and then.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            tried = socket.socket()
            try:
                tried.bind(("127.0.0.1", LOWEST + secrets.randbelow(ephemeral - LOWEST)))
            except OSError:
                tried.close()
            else:
                held.append(tried)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
