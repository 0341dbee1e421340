"""How much the page cache saves: the first page from the cache, rendered anew, and not modified, in the same run.

Usage: .venv/bin/python benchmarks/bench_pages.py [SECONDS]

Requests go through the whole WSGI application (routing, language, headers), without a socket, on one thread. What
carries over to other machines is the ratio. Aim: at least 10 times as many from the cache as rendered.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from kit.alerts.lifecycle import Alerts
from kit.model.alert import Alert, AlertText, Area
from kit.run.schema import unit_migrations
from village_apps.app import find_apps
from village_apps.web.trial import HOUR_MS, TrialKit, frosty_night, trial_kit

PHONE = {"Accept-Encoding": "gzip", "Accept-Language": "sw-KE,sw;q=0.9"}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with (
        tempfile.TemporaryDirectory() as folder,
        trial_kit(Path(folder) / "home", find_apps(), unit_migrations()) as kit,
    ):
        prepare(kit)
        first = kit.app.test_client().get("/", headers=PHONE)
        plain = EnvironBuilder("/", headers=Headers(PHONE)).get_environ()
        again = EnvironBuilder("/", headers=Headers(PHONE | {"If-None-Match": first.headers["ETag"]})).get_environ()

        def read() -> None:
            assert ask(kit, plain) == "200 OK"

        def read_again() -> None:
            assert ask(kit, again) == "304 NOT MODIFIED"

        def render() -> None:
            kit.frame.cache.forget()
            read()

        measured = {
            name: rate(task, seconds) for name, task in (("cached", read), ("304", read_again), ("rendered", render))
        }
        print(f"first page, {len(first.data)} bytes packed, one thread")
        for name, per_second in measured.items():
            print(f"  {name:9} {per_second:8.0f}/s")
        print(f"  cached / rendered = {measured['cached'] / measured['rendered']:.1f}")


def ask(kit: TrialKit, environ: dict[str, Any]) -> str:
    """One request, as the server hands it over; no test client, whose own work would hide the difference."""
    status: list[str] = []
    for _ in kit.app.wsgi_app(dict(environ), lambda line, *_: status.append(line)):  # type: ignore[arg-type]  # it returns no write()
        pass
    return status[0]


def prepare(kit: TrialKit) -> None:
    kit.put_forecast(frosty_night(kit.now_ms))
    text = AlertText(language="en", event="Frost", headline="Frost tonight", description="−2 °C.", instruction="Cover.")
    with kit.store() as database:
        Alerts(database, kit.clock, sender="kit@village-kit", area="ol-kalou").raise_alert(
            Alert(
                identifier="frost-1",
                sender="kit@village-kit",
                sent_ms=kit.now_ms,
                event="frost",
                expires_ms=kit.now_ms + 12 * HOUR_MS,
                area=Area("ol-kalou"),
                infos=(text,),
            )
        )


def rate(task: Callable[[], None], seconds: float) -> float:
    """Calls per second."""
    for _ in range(20):
        task()
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        task()
        calls += 1
    return calls / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
