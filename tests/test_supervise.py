"""Services die; the supervisor brings them back, says why they died, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.clock import SystemClock
from kit.errors import KitError
from kit.supervise import ServiceSpec, Supervisor, python_command

READY = "import os,pathlib,time; pathlib.Path(os.environ['KIT_READY_FILE']).write_text('{\"address\": \"here\"}'); "


def spec(tmp_path: Path, name: str, code: str) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        command=[sys.executable, "-c", code],
        ready_file=tmp_path / f"{name}.ready",
        error_file=tmp_path / f"{name}.err",
    )


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Running:
    def __init__(self, tmp_path: Path, *specs: ServiceSpec) -> None:
        self.file = tmp_path / "services.json"
        self.stop = threading.Event()
        self.ready = threading.Event()
        self.supervisor = Supervisor(specs, state_file=self.file, time=SystemClock())
        self.thread = threading.Thread(
            target=self.supervisor.run, args=(self.stop,), kwargs={"on_ready": lambda _facts: self.ready.set()}
        )
        self.thread.start()

    def service(self, name: str) -> dict[str, object]:
        try:
            views: list[dict[str, object]] = json.loads(self.file.read_text())["services"]
        except OSError:
            return {}
        return {view["name"]: view for view in views}.get(name, {})

    def end(self) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_a_killed_service_comes_back_and_the_others_do_not_notice(tmp_path: Path) -> None:
    unit = Running(tmp_path, *(spec(tmp_path, name, READY + "time.sleep(600)") for name in ("broker", "web")))
    try:
        assert unit.ready.wait(15)
        wait_for(lambda: unit.service("web").get("state") == "running")
        web, broker = unit.service("web")["pid"], unit.service("broker")["pid"]
        assert isinstance(broker, int)
        os.kill(broker, signal.SIGKILL)
        wait_for(lambda: unit.service("broker").get("restarts") == 1 and unit.service("broker")["state"] == "running")
        assert unit.service("broker")["pid"] != broker
        assert unit.service("broker")["last_error"] == "killed by SIGKILL"
        assert unit.service("broker")["address"] == "here"
        assert unit.service("web")["pid"] == web
    finally:
        unit.end()
    assert unit.service("web")["state"] == "stopped"


def test_a_service_that_keeps_dying_is_shown_with_its_last_words_and_waits_longer_each_time(tmp_path: Path) -> None:
    once = tmp_path / "once"
    code = f"import pathlib,sys\nif pathlib.Path({str(once)!r}).exists(): sys.exit('the probe has come off')\n"
    unit = Running(tmp_path, spec(tmp_path, "collect", code + READY + f"pathlib.Path({str(once)!r}).touch()"))
    try:
        wait_for(lambda: int(str(unit.service("collect").get("restarts", 0))) >= 3)
        assert unit.service("collect")["last_error"] == "the probe has come off"
    finally:
        unit.end()


def test_a_service_that_refuses_to_start_ends_the_start_with_its_own_sentence(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [spec(tmp_path, "web", "import sys; sys.exit('kit: port 8080 is in use')")],
        state_file=tmp_path / "services.json",
        time=SystemClock(),
    )
    with pytest.raises(KitError, match=r"^port 8080 is in use$"):
        supervisor.run(threading.Event(), on_ready=lambda _facts: None)


def test_a_service_that_ignores_the_request_to_stop_is_forced_within_three_seconds(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY + "time.sleep(600)"
    unit = Running(tmp_path, spec(tmp_path, "deaf", deaf))
    assert unit.ready.wait(15)
    pid = unit.service("deaf")["pid"]
    before = time.monotonic()
    unit.end()
    assert time.monotonic() - before < 3.0
    assert not Path(f"/proc/{pid}").exists()


def test_a_folder_that_is_named_like_the_program_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "kit" / "cli").mkdir(parents=True)
    (tmp_path / "kit" / "cli" / "__main__.py").write_text("print('not the kit')")
    (tmp_path / "kit" / "__init__.py").touch()
    told = subprocess.run(python_command("--version"), cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "not the kit" not in told
    assert "kit" in told


def test_a_service_that_met_a_damaged_store_at_its_first_start_does_not_end_the_unit(tmp_path: Path) -> None:
    from kit.run.services import TRY_AGAIN

    met = tmp_path / "met"
    first = f"import pathlib, sys; p = pathlib.Path({str(met)!r}); again = p.exists(); p.touch(); "
    code = first + f"again or sys.exit({TRY_AGAIN}); " + READY + "time.sleep(60)"
    unit = Running(tmp_path, spec(tmp_path, "collect", code))
    try:
        wait_for(lambda: unit.service("collect").get("state") == "running")
        assert unit.service("collect")["restarts"] == 1
    finally:
        unit.end()


def test_on_a_full_disk_what_runs_is_written_over_what_was_said_before(tmp_path: Path) -> None:
    serves = "from kit.supervise import become_supervised; become_supervised()({'address': 'here'}); "
    unit = Running(tmp_path, spec(tmp_path, "web", serves + "import time; time.sleep(600)"))
    try:
        assert unit.ready.wait(30)
        wait_for(lambda: unit.service("web").get("state") == "running")
        for name in ("services.json.new", "web.ready.new"):
            (tmp_path / name).symlink_to("/dev/full")  # a device on which no write finds room
        first = unit.service("web")["pid"]
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: unit.service("web").get("restarts") == 1 and unit.service("web")["state"] == "running")
        assert unit.service("web")["pid"] != first
    finally:
        unit.end()
