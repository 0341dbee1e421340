"""The seam of escalation: whom else to tell when nobody confirms.

Nothing implements it yet. Delivery offers, at every pass, the alerts that hold and that no person has confirmed; an
escalation decides by its own rules (after how long, whom, by which channel) and remembers what it has done. It must
return at once and must not raise for a channel that is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kit.model.alert_state import AlertState


class Escalation(Protocol):
    """Tells further people."""

    def consider(self, unconfirmed: Sequence[AlertState], *, now_ms: int) -> None:
        """These hold now and nobody has confirmed them; Unix ms."""
        ...
