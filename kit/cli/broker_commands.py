"""`kit broker mosquitto-config`: what an existing Mosquitto needs to lose as little as it can."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from kit.cli.output import print_json
from kit.cli.unit import Unit, reading_store, unit_of
from kit.errors import KitError
from kit.home import explain_home_error
from kit.settings import listen_address

if TYPE_CHECKING:
    from kit.model.grants import Grants

KIT_USER = "kit"
SALT_BYTES = 12
PASSWORD_BYTES = 20


def add_broker_commands(parser: argparse.ArgumentParser) -> None:
    """`kit broker mosquitto-config --to FOLDER [--listen HOST:PORT]`."""
    commands = parser.add_subparsers(metavar="WHAT")
    config = commands.add_parser("mosquitto-config", help="write the files of an existing Mosquitto")
    config.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="where to; Mosquitto must own it")
    config.add_argument("--listen", metavar="HOST:PORT", default="0.0.0.0:1883", help="where Mosquitto is to listen")
    config.set_defaults(run=write_config)


def write_config(arguments: argparse.Namespace) -> int:
    """Write mosquitto.conf, passwords, acl and kit-password; users that are there already keep their passwords."""
    from kit.broker.mosquitto_config import acl_text, conf_text, password_line

    unit = unit_of(arguments)
    folder: Path = arguments.to.absolute()
    host, port = listen_address(arguments.listen, key="--listen")
    grants = _grants(unit)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = _known_lines(folder / "passwords", {KIT_USER, *grants})
        made = {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in (KIT_USER, *grants) if name not in lines}
        for name, password in made.items():
            lines[name] = password_line(name, password, salt=os.urandom(SALT_BYTES))
        _write(folder / "mosquitto.conf", conf_text(host=host, port=port, folder=str(folder)), mode=0o644)
        _write(folder / "acl", acl_text(KIT_USER, grants), mode=0o600)
        _write(folder / "passwords", "".join(f"{line}\n" for _, line in sorted(lines.items())), mode=0o600)
        if KIT_USER in made:
            _write(folder / "kit-password", made[KIT_USER] + "\n", mode=0o600)
    except OSError as error:
        raise KitError(explain_home_error(folder, error)) from error
    shown = {name: password for name, password in made.items() if name != KIT_USER}
    if arguments.json:
        print_json({"folder": str(folder), "users": sorted(lines), "passwords": shown})
        return 0
    _explain(folder, host="127.0.0.1" if host == "0.0.0.0" else host, port=port, shown=shown)  # noqa: S104 - compared, not bound
    return 0


def _explain(folder: Path, *, host: str, port: int, shown: dict[str, str]) -> None:
    print(f"Wrote mosquitto.conf, passwords, acl and kit-password to {folder}.")
    print(f"Give them to Mosquitto's user (chown -R mosquitto {folder}), kit-password to the kit's; then:")
    print(f"    mosquitto -c {folder / 'mosquitto.conf'}")
    print("and in kit.toml:")
    for line in (
        "[broker]",
        'kind = "external"',
        f'external = "{host}:{port}"',
        f'external_username = "{KIT_USER}"',
        f'external_password_file = "{folder / "kit-password"}"',
    ):
        print(f"    {line}")
    for name, password in shown.items():
        print(f"Password of {name} at Mosquitto (shown only now): {password}")
    print("After `kit device add` or `remove`: run this again, then reload Mosquitto (SIGHUP).")


def _grants(unit: Unit) -> dict[str, Grants]:
    from kit.model.grants import native_grants
    from kit.store.devices import all_grants, list_devices

    if not unit.home.database.exists():
        return {}
    with reading_store(unit) as database:
        known = all_grants(database.connection)
        names = [device.name for device in list_devices(database.connection)]
    return {name: known.get(name) or native_grants(name) for name in names}


def _known_lines(file: Path, wanted: set[str]) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    known = {line.partition(":")[0]: line for line in lines if ":" in line}
    return {name: line for name, line in known.items() if name in wanted}


def _write(file: Path, text: str, *, mode: int) -> None:
    temporary = file.with_name(file.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(file)
