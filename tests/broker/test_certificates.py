"""The unit's own authority: killed at any line while it is made, the unit starts, and its devices still trust it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import certificate_kills
import pytest

from kit.certificates import authority_file, broker_context
from kit.errors import KitError
from kit.home import Home

NAMES = certificate_kills.NAMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "template" / "keys").mkdir(parents=True)
    return tmp_path


def killed_at_every_line(folder: Path) -> Iterator[Home]:
    """Homes as a kill left them, one for each line of the code; the last one was not killed."""
    subprocess.run([sys.executable, certificate_kills.__file__, str(folder)], check=True, timeout=120)
    places = sorted(folder.glob("killed-*"), key=lambda place: int(place.name.partition("-")[2]))
    assert len(places) > 30
    return (Home(place) for place in places)


def trusts(device_has: bytes, broker: ssl.SSLContext) -> bool:
    """A whole TLS handshake between a device with that authority and the broker."""
    device = ssl.create_default_context(cadata=device_has.decode())
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = device.wrap_bio(down, up, server_hostname="kit.local")
    server = broker.wrap_bio(up, down, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


def test_killed_at_any_line_of_its_first_start_the_unit_starts_and_keeps_what_it_has_shown(folder: Path) -> None:
    shown = 0
    for home in killed_at_every_line(folder):
        key, authority = (
            file.read_bytes() if file.exists() else None for file in (home.keys / "ca.key", authority_file(home))
        )
        broker = broker_context(home, unit="k1", names=NAMES)
        assert key in (None, (home.keys / "ca.key").read_bytes())
        if authority is not None:  # somebody may have copied it to a device
            shown += 1
            assert authority == authority_file(home).read_bytes()
        assert trusts(authority_file(home).read_bytes(), broker)
    assert shown > 5


def test_killed_at_any_line_while_its_addresses_change_the_unit_starts_and_its_devices_still_trust_it(
    folder: Path,
) -> None:
    template = Home(folder / "template")
    broker_context(template, unit="k1", names=["kit.local"])
    device_has, key = authority_file(template).read_bytes(), (template.keys / "ca.key").read_bytes()
    homes = killed_at_every_line(folder)
    # after the kill it may have its old addresses again, and the old certificate would do but for the new key
    for home, names in ((home, names) for home in homes for names in (["kit.local"], NAMES)):
        broker = broker_context(home, unit="k1", names=names)
        assert (authority_file(home).read_bytes(), (home.keys / "ca.key").read_bytes()) == (device_has, key)
        assert trusts(device_has, broker)


def test_an_authority_whose_certificate_was_deleted_is_trusted_by_those_who_have_the_old_one(folder: Path) -> None:
    home = Home(folder / "template")
    broker_context(home, unit="k1", names=NAMES)
    device_has = authority_file(home).read_bytes()
    authority_file(home).unlink()
    assert trusts(device_has, broker_context(home, unit="k1", names=["kit.local"]))


def test_a_missing_key_of_the_authority_is_said_and_not_replaced(folder: Path) -> None:
    home = Home(folder / "template")
    broker_context(home, unit="k1", names=NAMES)
    (home.keys / "ca.key").unlink()
    with pytest.raises(KitError, match=r"ca\.key is missing.*restore it.*kit device ca"):
        broker_context(home, unit="k1", names=NAMES)
    assert not (home.keys / "ca.key").exists()


def test_a_key_of_another_authority_is_said_and_not_used(folder: Path) -> None:
    one, other = Home(folder / "template"), Home(folder / "other")
    other.keys.mkdir(parents=True)
    for home in (one, other):
        broker_context(home, unit="k1", names=NAMES)
    (one.keys / "ca.key").write_bytes((other.keys / "ca.key").read_bytes())
    with pytest.raises(KitError, match="do not belong together"):
        broker_context(one, unit="k1", names=NAMES)
