"""What every service of the unit is given; a module of its own, so that services need nothing of each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kit.clock import Clock
from kit.home import Home
from kit.identity import Identity
from kit.settings import Settings

Ready = Callable[[Mapping[str, Any]], None]
"""Tells the supervisor that the service serves, and what it would say about itself."""


@dataclass(frozen=True, kw_only=True)
class UnitProcess:
    """One service's process.

    Attributes:
        log: its own, below `log/` of the home.
    """

    home: Home
    settings: Settings
    clock: Clock
    identity: Identity
    log: logging.Logger
