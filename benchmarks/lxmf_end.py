"""One end of an LXMF conversation, to be run by a Python that has `rns` and `lxmf` (see `bench_peers.py`).

    python lxmf_end.py hear|direct|opportunistic DIRECTORY LISTEN_PORT FORWARD_PORT BITS_PER_SECOND

Speaks on standard output, a JSON object a line. Times are CLOCK_MONOTONIC of this machine. The interface is told how
fast the air is, as an RNode would tell it: Reticulum's patience follows that.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import LXMF
import RNS

CONFIG = """
[reticulum]
enable_transport = No
share_instance = No
[logging]
loglevel = 0
[interfaces]
  [[air]]
    type = UDPInterface
    enabled = yes
    listen_ip = 127.0.0.1
    listen_port = {listen}
    forward_ip = 127.0.0.1
    forward_port = {forward}
    bitrate = {bits_per_s}
"""
GIVE_UP_S = 240.0
"""Longer than LXMF itself tries (five attempts, ten seconds and more apart)."""


def tell(**what: Any) -> None:
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


def hear(router: Any, identity: Any) -> None:
    """Announce ourselves until somebody has written, and say what comes."""
    here = router.register_delivery_identity(identity, display_name="core")
    router.register_delivery_callback(lambda message: tell(heard=message.content_as_string()[:8]))
    tell(ready=True)
    for line in sys.stdin:
        if line.startswith("announce"):
            router.announce(here.hash)
        else:
            return


class Listener:
    """Remembers who announces."""

    aspect_filter = "lxmf.delivery"

    def __init__(self) -> None:
        self.found: Any = None

    def received_announce(self, destination_hash: bytes, announced_identity: Any, app_data: bytes) -> None:
        del destination_hash, app_data
        self.found = announced_identity


def say(router: Any, identity: Any, method: int) -> None:
    """Send each line of standard input, and tell once it was delivered or given up."""
    here = router.register_delivery_identity(identity, display_name="kit")
    listener = Listener()
    RNS.Transport.register_announce_handler(listener)
    tell(ready=True)
    while listener.found is None:
        time.sleep(0.05)
    there = RNS.Destination(listener.found, RNS.Destination.OUT, RNS.Destination.SINGLE, "lxmf", "delivery")
    tell(found=True)
    for line in sys.stdin:
        text = line.rstrip("\n")
        message = LXMF.LXMessage(there, here, text, desired_method=method)
        tell(said=text[:8])
        router.handle_outbound(message)
        until = time.monotonic() + GIVE_UP_S
        while message.state not in (LXMF.LXMessage.DELIVERED, LXMF.LXMessage.FAILED) and time.monotonic() < until:
            time.sleep(0.05)
        delivered = message.state == LXMF.LXMessage.DELIVERED
        if not delivered:
            router.cancel_outbound(message.message_id)
        tell(known=text[:8], delivered=delivered, bytes=message.packed_size)


def main() -> None:
    role, directory, listen, forward, bits_per_s = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:6]
    directory.mkdir(parents=True)
    (directory / "config").write_text(CONFIG.format(listen=listen, forward=forward, bits_per_s=bits_per_s))
    RNS.Reticulum(configdir=str(directory), loglevel=0)
    identity = RNS.Identity()
    router = LXMF.LXMRouter(identity=identity, storagepath=str(directory / "lxmf"))
    methods = {"direct": LXMF.LXMessage.DIRECT, "opportunistic": LXMF.LXMessage.OPPORTUNISTIC}
    if role == "hear":
        hear(router, identity)
    else:
        say(router, identity, methods[role])


if __name__ == "__main__":
    main()
