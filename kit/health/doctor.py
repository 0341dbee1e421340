"""`kit doctor`: small checks, each of which says what it saw and, if that is not right, what to do.

A check reads; it never mends. One that itself fails is a failed check, not a crash: the doctor is called when things
are broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kit.clock import Clock
from kit.errors import KitError
from kit.health import doctor_home, doctor_status, doctor_unit
from kit.health.check import Check
from kit.home import Home
from kit.settings import Settings, load_settings

CheckUp = Callable[[], Iterable[Check]]


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in the order in which they should be mended."""

    checks: Sequence[Check]

    @property
    def failed(self) -> list[Check]:
        """Those that are not all right."""
        return [check for check in self.checks if not check.ok]

    def as_json(self) -> dict[str, Any]:
        """`{ok, checks: [{name, ok, sentence, todo}]}`."""
        return {"ok": not self.failed, "checks": [asdict(check) for check in self.checks]}


def diagnose(
    home: Home,
    clock: Clock,
    *,
    status: Callable[[Settings], Mapping[str, Any]],
    extra: Sequence[CheckUp] = (),
) -> Diagnosis:
    """Check everything.

    Args:
        home: the unit.
        clock: the one it runs on.
        status: makes the unit's status, once its settings are known to be readable.
        extra: checks of the layers above (apps, the external broker).
    """
    checks: list[Check] = []
    checks += safely("home", lambda: doctor_home.check_home(home))
    settings = Settings()
    try:
        settings = load_settings(home.settings_file)
        there = "is valid" if home.settings_file.exists() else "is not there; every setting has its default"
        checks.append(Check("settings", ok=True, sentence=f"{home.settings_file.name} {there}"))
    except KitError as error:
        checks.append(Check("settings", ok=False, sentence=str(error), todo=f"correct {home.settings_file}"))
    checks += safely("settings", lambda: doctor_unit.check_settings(settings))
    checks += safely("devices", lambda: doctor_unit.check_devices(settings))
    checks += safely("keys", lambda: doctor_home.check_keys(home))
    checks += safely("password", lambda: doctor_home.check_password(home))
    checks += safely("store", lambda: doctor_home.check_store(home))
    checks += safely("clock", lambda: doctor_unit.check_clock(clock))
    told = _status(status, settings)
    checks += safely("services", lambda: doctor_status.check_services(told))
    if told.get("running"):
        checks += safely("ports", lambda: doctor_unit.check_ports(settings, told))
    for name, check in doctor_status.CHECKS.items():
        checks += safely(name, lambda check=check: check(told))  # type: ignore[misc]  # mypy cannot infer a default's type
    for one in extra:
        checks += safely("more", one)
    return Diagnosis(checks)


def safely(name: str, check: CheckUp) -> list[Check]:
    """The check's findings; what it stumbles over is a finding, too."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - a doctor who dies of the illness helps nobody
        return [Check(name, ok=False, sentence=f"this check could not be made: {error}", todo="see `kit log`")]


def _status(status: Callable[[Settings], Mapping[str, Any]], settings: Settings) -> Mapping[str, Any]:
    try:
        return status(settings)
    except Exception:  # noqa: BLE001 - what is wrong with the store is told by its own check
        return {}
