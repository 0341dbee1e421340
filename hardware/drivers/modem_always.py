"""Modems that need no driver: the operating system keeps the connection, the kit only asks whether there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROUTE_UP = 0x1
"""RTF_UP of <linux/route.h>."""

IPV6_LOOPBACK = "lo"
"""The kernel keeps a reject route named so in the IPv6 table, up or not."""


@dataclass(frozen=True)
class AlwaysOnModem:
    """The network is simply there (a router, a cable); the link finds out by itself when it is not."""

    def online(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class DefaultRouteModem:
    """Online while the kernel has a default route, which ModemManager or pppd set and remove (proc(5))."""

    routes: Path = Path("/proc/net/route")
    routes_ipv6: Path = Path("/proc/net/ipv6_route")

    def online(self) -> bool:
        """Whether there is a way out now."""
        return any(map(_is_default, _lines(self.routes))) or any(map(_is_default_ipv6, _lines(self.routes_ipv6)))


def _lines(file: Path) -> list[list[str]]:
    try:
        return [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return []


def _is_default(fields: list[str]) -> bool:
    # interface, destination, gateway, flags, use and counts, metric, mask …, in hexadecimal
    match fields:
        case [_, "00000000", _, flags, _, _, _, "00000000", *_]:
            return bool(int(flags, 16) & ROUTE_UP)
    return False


def _is_default_ipv6(fields: list[str]) -> bool:
    # destination, its prefix length, source, its prefix length, next hop, metric, counts, flags, interface
    match fields:
        case [destination, "00", _, _, _, _, _, _, _, interface]:
            return set(destination) == {"0"} and interface != IPV6_LOOPBACK
    return False
