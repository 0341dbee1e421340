"""A valve or a siren on the network: an MQTT device of its own, over the real broker, that misbehaves on request.

It keeps the kit's rules (docs/actuators.md): it holds a state for no longer than its lease, goes off when it starts and
when the kit's last will says that the kit is gone, and acknowledges what it did. Its state is a small file that anybody
may watch. `<state>.control` is a JSON file that makes it misbehave: `{"ack": "never"}`, `{"ack_after_s": 3}`,
`{"refuse": "no water"}`, `{"restart": n}` (restarts whenever n changes), `{"deaf": true}` (hears nothing).

`ActuatorCore` decides and does no I/O; `SimulatedActuator` is its MQTT client.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hardware.ports import HardwareClock

GONE = "gone"
KEEP_ALIVE_S = 10
TICK_S = 0.05
"""Real seconds between two looks at the lease."""


@dataclass
class ActuatorCore:
    """The device's logic; times are its own seconds that never step.

    Attributes:
        on: by output; an output that is not in it is off.
        until_s: when the lease of an output runs out.
        times: how often an output was switched on from off.
    """

    on: dict[str, bool] = field(default_factory=dict)
    until_s: dict[str, float] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)

    def told(self, payload: bytes, now_s: float, *, refuse: str = "") -> dict[str, Any] | None:
        """A command came; returns what to acknowledge with, or None for what is no command."""
        try:
            command = json.loads(payload)
            identifier, output = str(command["id"]), str(command.get("output", ""))
            wanted, lease_s = command["state"] == "on", float(command.get("lease_s", 0.0))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        if refuse:
            return {"id": identifier, "output": output, "error": refuse}
        if wanted and lease_s <= 0:
            return {"id": identifier, "output": output, "error": "it has no lease"}
        if wanted and not self.on.get(output):
            self.times[output] = self.times.get(output, 0) + 1
        self.on[output] = wanted
        self.by[output] = identifier
        self.until_s[output] = now_s + lease_s
        return {"id": identifier, "output": output, "state": "on" if wanted else "off"}

    def tick(self, now_s: float) -> list[dict[str, Any]]:
        """Leases that ran out: those outputs are off now; returns what to say about them."""
        over = [output for output, on in self.on.items() if on and now_s >= self.until_s[output]]
        return [self._off(output, "its lease ran out") for output in over]

    def all_off(self, why: str) -> list[dict[str, Any]]:
        """The safe state, now."""
        return [self._off(output, why) for output, on in self.on.items() if on]

    def _off(self, output: str, why: str) -> dict[str, Any]:
        self.on[output] = False
        return {"id": self.by.get(output, ""), "output": output, "state": "off", "error": why}


class SimulatedActuator:
    """See the module; a context manager.

    Args:
        name: its device name, which is its user name.
        password: of its credentials.
        host: of the broker.
        port: of the broker.
        clock: its own time; only `monotonic` is used.
        state_file: where its state can be seen.
    """

    def __init__(
        self, name: str, password: str, *, host: str, port: int, clock: HardwareClock, state_file: Path
    ) -> None:
        self._name, self._password, self._host, self._port = name, password, host, port
        self._clock, self._file = clock, state_file
        self._control = state_file.with_name(state_file.name + ".control")
        self._core = ActuatorCore()
        self._lock = threading.Lock()
        self._late: list[tuple[float, dict[str, Any]]] = []
        self._restarts: Any = None
        self._stop = threading.Event()
        self._client: Any = None
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Self:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._restarts = self._faults().get("restart")
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"{self._name}-actuator", clean_session=True)
        client.username_pw_set(self._name, self._password)
        client.reconnect_delay_set(1, 2)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.connect_async(self._host, self._port, keepalive=KEEP_ALIVE_S)
        client.loop_start()
        self._client = client
        self._ticker = threading.Thread(target=self._tick, daemon=True, name=f"{self._name}-lease")
        self._ticker.start()
        with self._lock:  # the ticker and the broker's thread show it, too
            self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join(5)
        self._client.disconnect()
        self._client.loop_stop()

    def is_on(self, output: str = "") -> bool:
        """Whether that output is on now."""
        with self._lock:
            return self._core.on.get(output, False)

    def times_on(self, output: str = "") -> int:
        """How often it was switched on from off."""
        with self._lock:
            return self._core.times.get(output, 0)

    def misbehave(self, **faults: Any) -> None:
        """Write the control file; no faults = behave again."""
        fresh = self._control.with_name(self._control.name + ".new")
        fresh.write_text(json.dumps(faults))
        fresh.replace(self._control)

    def _faults(self) -> dict[str, Any]:
        try:
            told = json.loads(self._control.read_text())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _on_connect(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(f"commands/{self._name}/set", 1), ("status/kit", 1)])

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        faults = self._faults()
        if faults.get("deaf"):
            return
        with self._lock:
            if message.topic == "status/kit":
                if _state_of(message.payload) == GONE:
                    self._say(self._core.all_off("the kit is gone"), faults)
            elif not message.retain:  # an old command says nothing about now
                ack = self._core.told(message.payload, self._clock.monotonic(), refuse=str(faults.get("refuse", "")))
                if ack is not None:
                    self._say([ack], faults)
            self._show()

    def _tick(self) -> None:
        while not self._stop.wait(TICK_S):
            faults, now_s = self._faults(), self._clock.monotonic()
            with self._lock:
                if faults.get("restart") != self._restarts:
                    self._restarts = faults.get("restart")
                    self._core = ActuatorCore(times=self._core.times)  # it forgets everything: all outputs are off
                    self._show()
                over = self._core.tick(now_s)
                if over:
                    self._say(over, faults)
                    self._show()
                due = [ack for at_s, ack in self._late if at_s <= now_s]
                self._late = [late for late in self._late if late[0] > now_s]
                self._publish(due)

    def _say(self, acks: list[dict[str, Any]], faults: dict[str, Any]) -> None:
        if faults.get("ack") == "never":
            return
        late_s = float(faults.get("ack_after_s", 0.0))
        if late_s:
            self._late += [(self._clock.monotonic() + late_s, ack) for ack in acks]
        else:
            self._publish(acks)

    def _publish(self, acks: list[dict[str, Any]]) -> None:
        for ack in acks:
            self._client.publish(f"sensors/{self._name}/ack", json.dumps(ack), qos=1)

    def _show(self) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(json.dumps({"on": self._core.on, "times": self._core.times}))
        fresh.replace(self._file)


def _state_of(payload: bytes) -> str:
    try:
        told = json.loads(payload)
    except ValueError:
        return ""
    return str(told.get("state")) if isinstance(told, dict) else ""
