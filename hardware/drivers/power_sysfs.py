"""The battery as the Linux kernel knows it, below /sys/class/power_supply.

Each supply is a directory of one-value files (Documentation/ABI/testing/sysfs-class-power in the kernel sources):
`type` (Battery, Mains, USB…), `online` of a mains supply, `capacity` (percent) and `status` of a battery.
"""

from __future__ import annotations

from pathlib import Path

from hardware.ports import HardwareError, PowerReading

POWER_SUPPLIES = Path("/sys/class/power_supply")
_CHARGING = {"Charging": True, "Discharging": False, "Not charging": False, "Full": False}


class SysfsPower:
    """See the module.

    Args:
        path: the directory of the supplies.
    """

    def __init__(self, path: Path = POWER_SUPPLIES) -> None:
        self._path = path

    def read(self) -> PowerReading:
        """The state now; of several batteries the emptiest counts."""
        try:
            supplies = sorted(entry for entry in self._path.iterdir() if entry.is_dir())
        except OSError as error:
            raise HardwareError(
                f"{self._path} cannot be read ({error.strerror}); set [power] driver = "
                f'"none" in kit.toml if this board has no gauge'
            ) from error
        batteries = [s for s in supplies if _read(s / "type") == "Battery" and _read(s / "scope") != "Device"]
        mains = [s for s in supplies if _read(s / "type") in {"Mains", "USB", "USB_C", "Wireless"}]
        levels = [level for battery in batteries if (level := _percent(battery)) is not None]
        states = [_CHARGING.get(_read(battery / "status")) for battery in batteries]
        if batteries and not levels:
            raise HardwareError(
                f"the battery gauge {batteries[0].name} gives no level; check the lead between battery and gauge"
            )
        return PowerReading(
            source=_source(on_mains=any(_read(s / "online") == "1" for s in mains), batteries=bool(batteries)),
            battery_percent=min(levels, default=None),
            charging=next((state for state in states if state is not None), None),
        )


def _source(*, on_mains: bool, batteries: bool) -> str:
    if on_mains:
        return "mains"
    return "battery" if batteries else "unknown"


def _percent(battery: Path) -> float | None:
    try:
        return min(100.0, max(0.0, float(_read(battery / "capacity"))))
    except ValueError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
