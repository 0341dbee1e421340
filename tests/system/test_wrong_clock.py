"""Real processes on a machine whose clock is wrong: 1970, steps, a kill, a reboot, and the time learned late."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from services import Services, make_home
from whole_unit import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

DAY_S = 86_400.0


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass
class Unit(Services):
    """On an injected clock."""

    def machine(self, *, wrong_by_s: float, boot: str, booted_at_s: float = 0.0) -> None:
        told = {"boot": _boot_id(), "pid": os.getpid(), "wrong_by_s": wrong_by_s, "synchronised": False}
        file = self.home / "run" / "clock.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(told | {"boot_name": boot, "booted_at_s": booted_at_s}))
        fresh.replace(file)

    def publish(self, account: dict[str, Any], values: list[float]) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="probe")
        client.username_pw_set(account["username"], account["password"])
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for value in values:
            told = client.publish(account["topic"], json.dumps([{"n": "weight", "u": "kg", "v": value}]), qos=1)
            told.wait_for_publish(20)
            assert told.is_published()
        client.disconnect()
        client.loop_stop()

    def readings(self) -> list[tuple[float, str]]:
        return [(row["value"], row["quality"]) for row in self.kit("readings")]


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(*make_home(tmp_path))
    yield unit
    unit.kill()


def test_a_unit_that_boots_in_1970_is_killed_and_rebooted_keeps_every_reading_in_order(unit: Unit) -> None:
    now_s = time.clock_gettime(time.CLOCK_REALTIME)
    unit.machine(wrong_by_s=-now_s + 30.0, boot="first")
    account = unit.kit("device", "add", "probe")
    unit.start()
    unit.publish(account, [1.0, 2.0])
    assert {quality for _, quality in unit.readings()} == {"time_guessed+time_doubtful"}
    unit.machine(wrong_by_s=-now_s + 9000.0, boot="first")  # somebody sets it, wrongly
    unit.publish(account, [3.0])
    unit.kill()
    unit.start()  # trust or not, the same boot goes on
    unit.publish(account, [4.0])
    unit.kill()

    up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    unit.machine(wrong_by_s=10 * 365 * DAY_S, boot="second", booted_at_s=up_s - 5.0)
    unit.start()
    unit.publish(account, [5.0])
    status = unit.kit("status")["clock"]
    assert (status["trusted"], status["boot"]) == (False, "second")

    told = unit.kit("clock", "set", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    assert told["taken"]
    wait_until(lambda: dict(unit.readings()).get(5.0) == "good", seconds=60, what="readings to get their true time")
    assert [value for value, _ in unit.readings()] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert {quality for value, quality in unit.readings() if value < 5.0} == {"time_guessed"}  # not of 1970 any more
    newest = unit.kit("readings")[-1]["time"]
    assert (
        abs(time.mktime(time.strptime(newest, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.mktime(time.gmtime())) < 120
    )
    unit.publish(account, [6.0])
    assert unit.readings()[-1] == (6.0, "good")
    unit.kill()
    unit.start()
    assert unit.kit("clock")["trusted"]  # within the same boot trust survives
    boots = unit.kit("clock", "boots")
    assert [boot["known"] for boot in boots] == [False, True]
