"""Simulated USB sticks: a folder named like the label is a stick that is plugged in.

It misbehaves on request: `sticks.json` beside the folders may say `{"unmounted": ["LABEL"], "locked": ["LABEL"]}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardware.ports import PluggedStick


class SimulatedSticks:
    """See the module.

    Args:
        labels: those that are looked for.
        folder: holds the sticks; it need not exist.
    """

    def __init__(self, labels: Sequence[str], folder: Path) -> None:
        self._labels = {label.casefold() for label in labels}
        self._folder = folder

    def sticks(self) -> Sequence[PluggedStick]:
        """Those that are plugged in now."""
        try:
            there = sorted(each for each in self._folder.iterdir() if each.is_dir())
        except OSError:
            return []
        faults = self._faults()
        return [self._look(each, faults) for each in there if each.name.casefold() in self._labels]

    def _look(self, stick: Path, faults: dict[str, Any]) -> PluggedStick:
        serial = str(stick.stat().st_ino)
        if stick.name in faults.get("unmounted", []):
            return PluggedStick(stick.name, None, serial, f"the stick {stick.name} is plugged in but not mounted")
        if stick.name in faults.get("locked", []):
            return PluggedStick(stick.name, stick, serial, f"the stick {stick.name} is write-protected; move its lock")
        return PluggedStick(stick.name, stick, serial)

    def _faults(self) -> dict[str, Any]:
        try:
            told = json.loads((self._folder / "sticks.json").read_text())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}
