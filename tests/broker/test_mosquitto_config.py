"""What `kit broker mosquitto-config` writes, under a real Mosquitto that is killed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

from kit.cli.__main__ import main
from kit.home import Home
from kit.run.schema import open_unit_store
from kit.store.devices import add_device

pytestmark = pytest.mark.skipif(
    not shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin"), reason="mosquitto is not installed"
)


class Configured:
    """A Mosquitto with the files that the command wrote."""

    def __init__(self, folder: Path) -> None:
        self.home, self.folder, self.port = Home(folder / "kit"), folder / "mosquitto", free_ports(1)[0]
        self.home.prepare()
        with open_unit_store(self.home) as store, store.atomic() as connection:
            add_device(connection, "roof", now_ms=0)
            add_device(connection, "river", now_ms=0)
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, capsys: pytest.CaptureFixture[str]) -> Any:
        words = ["broker", "mosquitto-config", "--to", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]
        assert main([*words, "--home", str(self.home.path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    def start(self) -> None:
        file = self.folder / "mosquitto.conf"
        if "user root" not in file.read_text():
            with file.open("a") as stream:
                stream.write("user root\n")  # the test's folder belongs to nobody else
        self.process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(file)])
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def publish(self, user: str, password: str, topic: str, text: str) -> int:
        words = ["-p", str(self.port), "-u", user, "-P", password, "-q", "1", "-t", topic, "-m", text]
        return subprocess.run(["mosquitto_pub", *words], check=False, capture_output=True).returncode

    def hear(self, topic: str, *, count: int, wait_s: int) -> list[str]:
        password = (self.folder / "kit-password").read_text().strip()
        words = ["-p", str(self.port), "-u", "kit", "-P", password, "-q", "1", "-t", topic, "-i", "kit-x", "-c"]
        done = subprocess.run(
            ["mosquitto_sub", *words, "-C", str(count), "-W", str(wait_s)], check=False, capture_output=True, text=True
        )
        return done.stdout.split()


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    made = Configured(tmp_path)
    yield made
    made.kill()


def test_what_waits_for_the_kit_survives_the_death_of_mosquitto(
    configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = configured.write(capsys)["passwords"]
    assert shown.keys() == {"roof", "river"}
    configured.start()
    configured.hear("sensors/#", count=1, wait_s=1)  # the kit's session is there
    for number in range(5):
        assert configured.publish("roof", shown["roof"], "sensors/roof", str(number)) == 0
    time.sleep(0.5)  # one turn of its loop would do
    configured.kill()
    configured.start()
    assert configured.hear("sensors/#", count=5, wait_s=5) == ["0", "1", "2", "3", "4"]


def test_a_device_speaks_for_itself_only_and_strangers_not_at_all(
    configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = configured.write(capsys)["passwords"]
    configured.start()
    configured.hear("sensors/#", count=1, wait_s=1)
    configured.publish("roof", shown["roof"], "sensors/river", "forged")
    assert configured.publish("roof", "wrong", "sensors/roof", "x") != 0
    configured.publish("river", shown["river"], "sensors/river", "true")
    assert configured.hear("sensors/#", count=1, wait_s=5) == ["true"]


def test_writing_again_keeps_the_passwords_and_drops_who_was_removed(
    configured: Configured, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.write(capsys)
    before = (configured.folder / "passwords").read_text()
    again = configured.write(capsys)
    assert again["passwords"] == {}
    assert (configured.folder / "passwords").read_text() == before
    assert main(["device", "remove", "river", "--home", str(configured.home.path)]) == 0
    capsys.readouterr()
    assert configured.write(capsys)["users"] == ["kit", "roof"]
    assert "river" not in (configured.folder / "acl").read_text()
