"""Keep a unit's services alive.

Each service is a process of its own, so that one can die (or be killed with -9) without taking another down. A dead
one is started again with back-off; what it said last is kept where `kit status`, the TUI and the technician page read
it. This module knows nothing of what the services do.

Invariant: when `Supervisor.run` returns, no process it started is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from kit.disk import says_full
from kit.errors import KitError
from kit.health.services import process_began
from kit.home import blank_state, write_state

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0
"""A service that cannot live is tried twice a minute: soon enough once its cause is mended, cheap enough until then."""

STEADY_S = 60.0
"""A service that lived this long starts its back-off anew."""

GRACE_S = 2.0
"""Between asking (SIGTERM) and forcing (SIGKILL) at shutdown; Ctrl-C promises an end within three seconds."""

POLL_S = 0.1

WORD_AGAIN_S = 1.0
"""Real seconds between two attempts to say on a full disk that a service serves."""

READY_FILE_VARIABLE = "KIT_READY_FILE"
"""Tells a service's process where to say that it serves."""

_PR_SET_PDEATHSIG = 1


class RealTime(Protocol):
    """Seconds since boot, unaccelerated (`kit.clock.SystemClock` fits)."""

    def monotonic(self) -> float:
        """Seconds that never step."""
        ...


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """How to start one service.

    Attributes:
        name: as people see it.
        command: the argument vector.
        ready_file: the service writes this once it serves; its JSON object is shown with the state.
        error_file: where the process's standard error goes; the last line of it is `last_error`.
    """

    name: str
    command: Sequence[str]
    ready_file: Path
    error_file: Path


@dataclass
class _Service:
    spec: ServiceSpec
    process: subprocess.Popen[bytes] | None = None
    state: str = "waiting"
    restarts: int = 0
    last_error: str = ""
    wait_s: float = FIRST_WAIT_S
    due_at: float = 0.0
    started_at: float = 0.0
    ever_ready: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        """As `services.json` shows it."""
        return {
            "name": self.spec.name,
            "state": self.state,
            "pid": self.process.pid if self.process is not None and self.process.poll() is None else None,
            "restarts": self.restarts,
            "last_error": self.last_error,
            **self.facts,
        }


class Supervisor:
    """Starts services in order, restarts the dead, stops all.

    Args:
        specs: in starting order; each is started when the one before it is ready or has failed once.
        state_file: where the services' states are written on every change.
        time: unaccelerated seconds.
        environment: what the processes get as their environment.
    """

    def __init__(
        self,
        specs: Sequence[ServiceSpec],
        *,
        state_file: Path,
        time: RealTime,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._services = [_Service(spec) for spec in specs]
        self._state_file = state_file
        self._time = time
        self._environment = dict(os.environ if environment is None else environment)
        self._written = ""

    def run(self, stop: threading.Event, *, on_ready: Callable[[Mapping[str, dict[str, Any]]], None]) -> None:
        """Supervise until `stop` is set; `on_ready` is called once, with each service's facts, when all serve.

        Raises:
            KitError: a service refused to start the first time, with its own sentence (a port in use, say).
        """
        told = False
        try:
            while not stop.is_set():
                self._look_after_all()
                if not told and all(service.ever_ready for service in self._services):
                    told = True
                    on_ready({service.spec.name: service.facts for service in self._services})
                self._write_state()
                stop.wait(POLL_S)
        finally:
            self._stop_all()

    def _look_after_all(self) -> None:
        for service in self._services:
            self._look_after(service)
            if not service.ever_ready and service.restarts == 0:
                return  # the next one may need this one

    def _look_after(self, service: _Service) -> None:
        now = self._time.monotonic()
        if service.process is None:
            if now >= service.due_at:
                self._start(service)
            return
        code = service.process.poll()
        if code is not None:
            self._bury(service, code)
        elif service.state == "starting":
            self._check_ready(service)
        elif now - service.started_at > STEADY_S:
            service.wait_s = FIRST_WAIT_S

    def _start(self, service: _Service) -> None:
        spec = service.spec
        blank_state(spec.ready_file)
        with _error_stream(spec.error_file) as errors:
            service.process = subprocess.Popen(
                list(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=self._environment | {READY_FILE_VARIABLE: str(spec.ready_file)},
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor, which then asks each service
            )
        service.started_at = self._time.monotonic()
        service.state = "starting"

    def _check_ready(self, service: _Service) -> None:
        try:
            facts = json.loads(service.spec.ready_file.read_text())
        except (OSError, ValueError):
            return
        service.facts = {key: value for key, value in facts.items() if key not in {"name", "state", "pid"}}
        service.state = "running"
        service.ever_ready = True

    def _bury(self, service: _Service, code: int) -> None:
        service.process = None
        service.last_error = _last_words(service.spec.error_file, code)
        if not service.ever_ready and service.restarts == 0 and code in (1, 2):
            raise KitError(service.last_error.removeprefix("kit: "))
        service.restarts += 1
        service.state = "waiting"
        service.due_at = self._time.monotonic() + service.wait_s
        service.wait_s = min(service.wait_s * 2, LONGEST_WAIT_S)

    def _stop_all(self) -> None:
        alive = [service for service in self._services if service.process is not None]
        for service in reversed(alive):
            _signal(service.process, signal.SIGTERM)
        deadline = self._time.monotonic() + GRACE_S
        for service in alive:
            assert service.process is not None
            try:
                service.process.wait(timeout=max(0.01, deadline - self._time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(service.process, signal.SIGKILL)
                service.process.wait()
            service.process = None
        for service in self._services:
            service.state = "stopped"
        self._write_state()

    def _write_state(self) -> None:
        pid, services = os.getpid(), [service.view() for service in self._services]
        text = json.dumps({"supervisor_pid": pid, "supervisor_began": process_began(pid), "services": services})
        if text == self._written:
            return
        with contextlib.suppress(OSError):  # that must not end the supervision; it is tried again at the next look
            if write_state(self._state_file, text):
                self._written = text


def become_supervised(own_file: Path | None = None) -> Callable[[Mapping[str, Any]], None]:
    """Called first in a service's process: it ends when its supervisor does. Returns the function that reports ready.

    The service's `ready({...})` may carry facts such as the address it listens at.

    Args:
        own_file: where a service that systemd (or a person) started leaves its process id, for `kit status`.
    """
    told = os.environ.get(READY_FILE_VARIABLE)
    if told is None:
        own = {"pid": os.getpid(), "began": process_began(os.getpid())}
        return lambda facts: _leave_word(own_file, {**facts, **own}) if own_file is not None else None
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return lambda facts: _leave_word(Path(told), facts)


def _leave_word(file: Path, facts: Mapping[str, Any]) -> None:
    """On a full disk the service serves all the same, and the word follows once there is room for it."""
    if not write_state(file, json.dumps(dict(facts))):
        threading.Thread(target=_leave_word_later, args=(file, facts), name="ready", daemon=True).start()


def _leave_word_later(file: Path, facts: Mapping[str, Any]) -> None:
    while not write_state(file, json.dumps(dict(facts))):
        threading.Event().wait(WORD_AGAIN_S)


def _error_stream(file: Path) -> IO[bytes]:
    """Where a service's standard error goes; nowhere, where the disk is too full even for that."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("wb")
    except OSError as error:
        if not says_full(error):
            raise
        return Path(os.devnull).open("wb")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; call it in the main thread."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def python_command(*arguments: str) -> list[str]:
    """The argument vector that runs `kit …` with this interpreter.

    `-P`: else a folder named `kit` where the unit is started, such as its own home, would be taken for the program.
    """
    return [sys.executable, "-P", "-m", "kit.cli", *arguments]


def _signal(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(number)


def _last_words(file: Path, code: int) -> str:
    try:
        lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + (f" after: {lines[-1][:300]}" if lines else "")
    return lines[-1][:300] if lines else f"ended with exit code {code}"
