"""Where a radio is, and in what words to tell a technician that it cannot be reached."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.links.port import LinkError

if TYPE_CHECKING:
    from sync.links.meshtastic_interface import Callbacks, RadioOverSerial, RadioOverTcp

LARGEST_PORT = 65535

SENTENCES: dict[type[OSError], str] = {
    ConnectionRefusedError: "nothing answers at {address}; switch the radio on, or check [links.lora] radio",
    socket.gaierror: "there is no machine named {host}; check [links.lora] radio",
    TimeoutError: "no answer from {address}; check that the radio is on and in the same network as this unit",
    FileNotFoundError: "there is no {address}; plug the radio's USB lead in, or check [links.lora] radio",
    PermissionError: "{address} may not be opened by this user; add the user to the group dialout",
}


@dataclass(frozen=True)
class RadioAddress:
    """A radio on TCP (`host`, `port`) or on a serial lead (`device`)."""

    host: str = ""
    port: int = 0
    device: str = ""

    @classmethod
    def parse(cls, text: str) -> RadioAddress:
        """Read "tcp:HOST:PORT" or "serial:/dev/ttyUSB0".

        Raises:
            LinkError: it is neither.
        """
        kind, _, rest = text.partition(":")
        if kind == "serial" and rest:
            return cls(device=rest)
        host, _, port = rest.rpartition(":")
        if kind == "tcp" and host and port.isdecimal() and 0 < int(port) <= LARGEST_PORT:
            return cls(host=host.strip("[]"), port=int(port))
        raise LinkError(
            f'"{text}" is not the address of a radio; write "tcp:HOST:PORT", for example "tcp:192.168.1.20:4403", '
            f'or "serial:/dev/ttyUSB0"'
        )

    def __str__(self) -> str:
        return self.device or f"{self.host}:{self.port}"

    def interface(self, callbacks: Callbacks) -> RadioOverTcp | RadioOverSerial:
        """The library's interface to it, not yet connected."""
        from sync.links.meshtastic_interface import RadioOverSerial, RadioOverTcp

        if self.device:
            return RadioOverSerial(self.device, callbacks)
        return RadioOverTcp(self.host, self.port, callbacks)


def explain_failure(address: RadioAddress, error: BaseException) -> str:
    """The sentence for a radio that could not be reached, by what the library or the operating system said."""
    if isinstance(error, LinkError):
        return str(error)
    for kind, sentence in SENTENCES.items():
        if isinstance(error, kind):
            return sentence.format(address=address, host=address.host)
    if "exclusive" in str(error).lower():
        return f"{address} is used by another program; stop it"
    return f"the radio at {address} cannot be used: {str(error) or type(error).__name__}"
