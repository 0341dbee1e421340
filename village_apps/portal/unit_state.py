"""What the technician's page shows: the same facts as `kit status`, plus the malformed messages of each sensor."""

from __future__ import annotations

from typing import Any

from village_apps.app import AppContext, StatusLine


def read_unit_state(context: AppContext, lines: list[StatusLine]) -> dict[str, Any]:
    """The status of the unit, with the apps' own lines in it."""
    from kit.health.status import unit_status

    return unit_status(
        context.home,
        context.settings,
        context.clock,
        apps=[{"label": line.label, "value": line.value, "ok": line.ok} for line in lines],
    )
