"""`kit replay`: recorded weather, published as if a station were there."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import KitError
from kit.home import Home, find_home
from kit.unit_clock import open_unit_clock

if TYPE_CHECKING:
    from kit.replay import BrokerAccount


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kit replay`."""
    parser.description = (
        "Publish an hourly weather file through the unit's own broker, as the device NAME. The readings keep the times "
        "they were recorded at, so replaying a file again changes nothing. NAME needs no password of its own: the unit "
        "publishes for it."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="hourly weather, .csv or .csv.gz")
    parser.add_argument("--device", required=True, metavar="NAME", help="whose readings they become")
    parser.add_argument(
        "--speed",
        type=parse_speed,
        default=math.inf,
        metavar="N|max",
        help="1 = as slowly as recorded, 3600 = an hour in a second, max = as fast as the broker takes them (max)",
    )
    parser.add_argument("--home", default=argparse.SUPPRESS, metavar="DIR", help="where the unit lives")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")
    parser.set_defaults(run=run_replay)


def parse_speed(text: str) -> float:
    """`N` or `max` (infinity)."""
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if 0 < speed < math.inf:
        return speed
    raise argparse.ArgumentTypeError(f"'{text}' is no speed; give a number above 0, for example 3600, or max")


def run_replay(arguments: argparse.Namespace) -> int:
    """Run `kit replay`.

    Raises:
        KitError: the file is damaged, or the broker cannot be reached.
        UsageError: no such file, a name no device may have.
    """
    from kit.replay import Publisher, replay
    from kit.store.devices import check_name
    from kit.weather_file import read_weather

    check_name(arguments.device)
    rows = read_weather(arguments.file)
    if not rows:
        raise KitError(f"{arguments.file} holds no observations, only a header")
    home = find_home(getattr(arguments, "home", None))
    if not home.keys.is_dir():
        raise KitError(f"there is no unit in {home.path}; start one with `kit run`, or give its place with --home DIR")
    account = _account(home)
    progress = _Progress(total=len(rows), shown=sys.stderr.isatty())
    with Publisher(account, client_id="kit-replay") as publisher:
        publisher.connect()
        acknowledged = replay(
            rows,
            device=arguments.device,
            publisher=publisher,
            speed=arguments.speed,
            clock=open_unit_clock(home),
            on_progress=progress.show,
        )
    progress.end()
    _print(arguments, rows=len(rows), acknowledged=acknowledged)
    return 0


def _print(arguments: argparse.Namespace, *, rows: int, acknowledged: int) -> None:
    if getattr(arguments, "json", False):
        print(json.dumps({"device": arguments.device, "rows": rows, "acknowledged": acknowledged}))
    else:
        print(f"{acknowledged} messages of {arguments.device} acknowledged ({rows} rows in {arguments.file})")


class _Progress:
    """A counter on a terminal, nothing elsewhere."""

    def __init__(self, *, total: int, shown: bool) -> None:
        self._total, self._shown, self._last = total, shown, -1

    def show(self, acknowledged: int) -> None:
        """Rewrite the line, at most once per 100 messages."""
        if self._shown and acknowledged // 100 != self._last:
            self._last = acknowledged // 100
            print(f"\r{acknowledged} of {self._total} acknowledged", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._shown:
            print("\r", end="", file=sys.stderr)


def _account(home: Home) -> BrokerAccount:
    """Where the running broker listens, and as whom to publish there."""
    from kit.identity import load_or_create_service_passwords
    from kit.replay import BrokerAccount
    from kit.run.adapters import broker_address, external_password
    from kit.settings import load_settings

    settings = load_settings(home.settings_file)
    host, port = broker_address(home, settings)
    if settings.broker.kind == "external":
        username, password = settings.broker.external_username, external_password(settings)
    else:
        username, password = "kit-replay", load_or_create_service_passwords(home)["kit-replay"]
    return BrokerAccount(host=host, port=port, username=username, password=password)
