"""A mobile network that is there when a file says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass
class SimulatedModem:
    """Online while the control file says `{"online": true}`; offline before it was ever written.

    A file caught half written says what it said before.
    """

    control_file: Path
    _last: bool = False

    def online(self) -> bool:
        """Whether there is a way out now."""
        try:
            self._last = bool(json.loads(self.control_file.read_text())["online"])
        except FileNotFoundError:
            self._last = False
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return self._last
