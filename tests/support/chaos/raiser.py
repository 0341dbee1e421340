"""A process that raises alerts in a home and prints each one's identifier once it is committed.

A process of its own, so that it can be killed with the rest and forgets with the same disk. Usage:
python -m chaos.raiser HOME PREFIX PAUSE_S
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kit.alerts.lifecycle import Alerts
from kit.clock import SystemClock
from kit.home import Home
from kit.model.alert import Alert, AlertText, Area, Severity
from kit.run.schema import open_unit_store

STANDS_MS = 3_600_000


def main(home: str, prefix: str, pause_s: float) -> None:
    clock = SystemClock()
    with open_unit_store(Home(Path(home))) as database:
        alerts = Alerts(database, clock, sender="chaos@village-kit", area="village")
        number = 0
        while True:
            number += 1
            now_ms = int(clock.now()) * 1000
            alert = Alert(
                identifier=f"{prefix}-{number}",
                sender="chaos@village-kit",
                sent_ms=now_ms,
                event="frost",
                severity=Severity.SEVERE,
                expires_ms=now_ms + STANDS_MS,
                area=Area("village"),
                infos=(
                    AlertText(language="en", event="Frost", headline=f"Frost {number}", description="", instruction=""),
                ),
            )
            alerts.raise_alert(alert)
            print(alert.identifier, flush=True)
            time.sleep(pause_s)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
