"""Where the unit's broker listens besides `listen`, as kit.toml says."""

from __future__ import annotations

import socket

from kit.addresses import interface_addresses
from kit.broker.listening import Listener
from kit.errors import SettingsError
from kit.home import Home
from kit.settings import BrokerSettings, listen_address

BONJOUR = ".local"
"""Names that a network without a name server knows (RFC 6762)."""


def more_listeners(home: Home, settings: BrokerSettings, *, unit: str) -> list[Listener]:
    """The encrypted listener, the one for browsers and the one for devices without a password, if they are set.

    Raises:
        SettingsError: a setting is no address.
        KitError: the certificate cannot be made or read.
    """
    found = []
    if settings.tls_listen:
        from kit.certificates import broker_context

        host, port = listen_address(settings.tls_listen, key="[broker] tls_listen")
        context = broker_context(home, unit=unit, names=own_names(settings))
        found.append(Listener(host=host, port=port, setting="tls_listen", tls=context))
    if settings.websocket:
        host, port = listen_address(settings.websocket, key="[broker] websocket")
        found.append(Listener(host=host, port=port, setting="websocket", websocket=True))
    if settings.open_listen:
        host, port = listen_address(settings.open_listen, key="[broker] open_listen")
        found.append(Listener(host=host, port=port, setting="open_listen", open=True))
    return found


def own_names(settings: BrokerSettings) -> list[str]:
    """Under which names and addresses devices reach this machine."""
    machine = socket.gethostname().removesuffix(BONJOUR)
    names = [machine, machine + BONJOUR, *interface_addresses().values(), *settings.tls_names]
    for name in names:
        if not name.isascii() or " " in name or not name:
            raise SettingsError(f"[broker] tls_names: '{name}' is no host name or address")
    return names
