"""What a signed-in client may do on the broker, as MQTT topic filters. Values only; `kit.broker.access` judges by them.

They travel with the credentials: the store writes down what a device's dialect needs when the device is let in, and
the broker looks at nothing else. So no dialect, and no change of one, can widen what a device may do.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grants:
    """A client's own topics.

    Attributes:
        publish: its own: kept if retained, handed to subscribers, read by the kit.
        hear: what its dialect also says by its nature (a discovery message, an announcement). The kit reads it, and it
            goes no further: it is not retained and nobody gets it, so that nobody can speak there for somebody else.
        read: what it may subscribe to.
    """

    publish: tuple[str, ...] = ()
    hear: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


NOTHING = Grants()
STATUS = "status/kit"
"""Every native device may know whether the kit lives (`{"state": "up"}`, and by its last will `gone`)."""

ALERTS = "alerts/#"
"""Every device with a password may read the warnings."""


def native_grants(name: str) -> Grants:
    """Of a device that speaks the kit's own dialect."""
    return Grants(publish=(f"sensors/{name}/#",), read=(f"sensors/{name}/#", f"commands/{name}/#", ALERTS, STATUS))
