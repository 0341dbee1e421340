"""Under which address a sensor on the kit's network reaches this machine; asked of the kernel, nothing is sent."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

_SIOCGIFADDR = 0x8915
"""netdevice(7): the IPv4 address of an interface."""


def reachable_host(listen_host: str) -> str:
    """The address to type into a device for something that listens at `listen_host`."""
    if listen_host not in ("0.0.0.0", "::", "*", ""):  # noqa: S104 - compared, not bound
        return listen_host
    found = interface_addresses()
    # sensors are on the kit's own Wi-Fi, not on its uplink
    wireless = [address for name, address in found.items() if Path(f"/sys/class/net/{name}/wireless").exists()]
    return next(iter([*wireless, *found.values()]), "127.0.0.1")


def interface_addresses() -> dict[str, str]:
    """The IPv4 address of every interface that has one, but for the loopback."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # an interface without an address
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith("127."):
                found[name] = address
    return found
