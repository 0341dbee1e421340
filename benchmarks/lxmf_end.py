"""One end of an LXMF conversation, to be run by a Python that has `rns` and `lxmf` (see `bench_peers.py`).

    python lxmf_end.py hear|say DIRECTORY LISTEN_PORT FORWARD_PORT [MESSAGES]

Speaks on standard output, a JSON object a line. Times are CLOCK_MONOTONIC of this machine.
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
"""
GIVE_UP_S = 60.0  # five attempts, ten seconds apart, and the answer to the last


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


def say(router: Any, identity: Any, messages: list[str]) -> None:
    """Send one message after the other, each once the one before was delivered or given up."""
    here = router.register_delivery_identity(identity, display_name="kit")
    listener = Listener()
    RNS.Transport.register_announce_handler(listener)
    tell(ready=True)
    while listener.found is None:
        time.sleep(0.05)
    there = RNS.Destination(listener.found, RNS.Destination.OUT, RNS.Destination.SINGLE, "lxmf", "delivery")
    tell(found=True)
    for line in sys.stdin:
        if not line.startswith("go"):
            return
        for number, text in enumerate(messages):
            message = LXMF.LXMessage(there, here, f"{number:08}{text[8:]}", desired_method=LXMF.LXMessage.OPPORTUNISTIC)
            tell(said=f"{number:08}")
            router.handle_outbound(message)
            until = time.monotonic() + GIVE_UP_S
            while message.state not in (LXMF.LXMessage.DELIVERED, LXMF.LXMessage.FAILED) and time.monotonic() < until:
                time.sleep(0.01)
            tell(known=f"{number:08}", delivered=message.state == LXMF.LXMessage.DELIVERED)
        tell(done=True)


def main() -> None:
    role, directory, listen, forward = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    directory.mkdir(parents=True)
    (directory / "config").write_text(CONFIG.format(listen=listen, forward=forward))
    RNS.Reticulum(configdir=str(directory), loglevel=0)
    identity = RNS.Identity()
    router = LXMF.LXMRouter(identity=identity, storagepath=str(directory / "lxmf"))
    if role == "hear":
        hear(router, identity)
    else:
        say(router, identity, sys.argv[5:])


if __name__ == "__main__":
    main()
