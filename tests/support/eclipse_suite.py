"""Scores a broker with the Eclipse interoperability suite: `eclipse_suite.py SUITE kit|mosquitto [3|5]`.

SUITE is the directory `interoperability` of a checkout of github.com/eclipse/paho.mqtt.testing, which is not part of
this repository. Both brokers are asked in the same way: by its unaltered tests, with a user name and a password (given
as defaults to its client's `connect`), with the same rights, and with the same longest keep-alive.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from permissive_broker import LONGEST_KEEP_ALIVE_S, PASSWORD, REFUSED_FILTER, USER

TEST_S = 60
"""A test that waits for ever for a message is given up after this long."""

TOPICS = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
WILD = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
max_keepalive {keep_alive}
persistence true
persistence_location {folder}/
log_dest none
"""
ACL = """\
user {user}
topic deny {refused}
topic readwrite #
topic write $SYS/never
"""


@contextmanager
def kit_broker(folder: Path) -> Iterator[int]:
    """The port of the kit's broker."""
    script = Path(__file__).with_name("permissive_broker.py")
    command = [sys.executable, str(script), str(folder / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """The port of a Mosquitto."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = MOSQUITTO.format(port=port, folder=folder, keep_alive=LONGEST_KEEP_ALIVE_S)
    (folder / "mosquitto.conf").write_text(configuration)
    (folder / "acl").write_text(ACL.format(user=USER, refused=REFUSED_FILTER))
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), USER, PASSWORD], check=True)
    folder.chmod(0o777)
    for file in folder.iterdir():
        file.chmod(0o666)
    with subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")]) as process:
        try:
            time.sleep(1)
            yield port
        finally:
            process.terminate()


BROKERS: dict[str, Callable[[Path], Any]] = {"kit": kit_broker, "mosquitto": mosquitto}


def load(suite: Path, version: int, port: int) -> ModuleType:
    """The suite's tests for one version, told where the broker is as its own main program would."""
    sys.path.insert(0, str(suite))
    module = importlib.import_module("client_test5" if version == 5 else "client_test")
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "topics": TOPICS,
        "wildtopics": WILD,
        "nosubscribe_topics": (REFUSED_FILTER,),
        "topic_prefix": "client_test5/",
    }
    vars(module).update(settings)
    if version == 5:
        # its tests set these again before they begin, without host and port
        module.setData = lambda: vars(module).update(settings)  # type: ignore[attr-defined] # a function of the suite
    client = module.mqtt_client.Client
    # version 3 wants text, version 5 bytes for the password, as they are put into the packet
    client.connect = functools.partialmethod(client.connect, username=USER, password=PASSWORD.encode())
    return module


class Scored(unittest.TextTestResult):
    """Remembers what became of each test, and gives each a time limit."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.passed: list[str] = []

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        """Begin the time limit."""
        super().startTest(test)
        # again and again: some of the suite's loops swallow whatever is raised in them
        signal.setitimer(signal.ITIMER_REAL, TEST_S, 2)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        """End it."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        """Remember it."""
        super().addSuccess(test)
        self.passed.append(test.id().rpartition(".")[2])


def give_up(number: int, frame: FrameType | None) -> None:
    """End a test that has taken too long."""
    del number, frame
    raise TimeoutError(f"no end after {TEST_S} s")


def main(suite: Path, broker: str, version: int) -> int:
    """Run the tests; print what passed and what failed, and why."""
    logging.getLogger().setLevel(logging.CRITICAL)
    signal.signal(signal.SIGALRM, give_up)
    with tempfile.TemporaryDirectory() as folder, BROKERS[broker](Path(folder)) as port:
        module = load(suite, version, port)
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(module.Test)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            result = unittest.TextTestRunner(nowhere, resultclass=Scored).run(tests)
    assert isinstance(result, Scored)
    failed = {
        test.id().rpartition(".")[2]: text.strip().splitlines()[-1] for test, text in result.failures + result.errors
    }
    score = {
        "broker": broker,
        "mqtt": version,
        "tests": result.testsRun,
        "passed": len(result.passed),
        "failed": failed,
        "names": sorted(result.passed),
    }
    print(json.dumps(score, indent=1))
    return 0 if not failed else 1


if __name__ == "__main__":
    which = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2], which))
