"""`kit device ca`: the certificate that a device needs to trust the broker's encrypted listener."""

from __future__ import annotations

import argparse

from kit.cli.output import print_json
from kit.cli.unit import Unit, unit_of
from kit.errors import KitError
from kit.settings import listen_address


def show_authority(arguments: argparse.Namespace) -> int:
    """Print the certificate, for a file: `kit device ca > kit-ca.pem`.

    Raises:
        KitError: there is none; the sentence says how one comes to be.
    """
    from kit.certificates import authority_file, fingerprint

    unit = unit_of(arguments)
    file = authority_file(unit.home)
    try:
        text = file.read_text(encoding="ascii")
        sha256 = fingerprint(file)
    except FileNotFoundError:
        raise KitError(
            'this unit has no certificate authority yet: set tls_listen = "0.0.0.0:8883" below [broker] in kit.toml '
            "and start the broker, which makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise KitError(f"{file} cannot be read ({error}); restore it from a backup of keys/") from error
    if not arguments.json:
        print(text, end="")
        return 0
    address = encrypted_address(unit)
    host, port = address or (None, None)
    print_json({"certificate": text, "sha256": sha256, "host": host, "port": port})
    return 0


def encrypted_address(unit: Unit) -> tuple[str, int] | None:
    """Where a device connects with TLS; None if it cannot."""
    from kit.addresses import reachable_host

    broker = unit.settings.broker
    if broker.kind != "own" or not broker.tls_listen:
        return None
    host, port = listen_address(broker.tls_listen, key="[broker] tls_listen")
    return reachable_host(host), port


def print_encrypted_hint(unit: Unit) -> None:
    """What a device that can use TLS is to be told, if this unit speaks it."""
    address = encrypted_address(unit)
    if address is not None:
        print(f"- If it can use TLS: port {address[1]}, with the certificate that `kit device ca` prints.")
