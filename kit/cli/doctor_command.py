"""`kit doctor`: check everything; exit code 1 if something is not right."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from kit.cli.output import WIDTH, print_json
from kit.health.check import Check
from kit.health.doctor import diagnose
from kit.health.status import unit_status
from kit.home import Home, find_home
from kit.settings import load_settings
from kit.unit_clock import open_unit_clock


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """`kit doctor`."""
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print each check, the failed ones with what to do."""
    home = find_home(arguments.home)
    clock = open_unit_clock(home)
    diagnosis = diagnose(
        home,
        clock,
        status=lambda settings: unit_status(home, settings, clock),
        extra=(check_apps, lambda: check_broker_kind(home)),
    )
    if arguments.json:
        print_json(diagnosis.as_json())
    else:
        for check in diagnosis.checks:
            print(_as_text(check))
        failed = len(diagnosis.failed)
        print()
        print(f"{failed} of {len(diagnosis.checks)} checks need you." if failed else "All checks passed.")
    return 1 if diagnosis.failed else 0


def check_apps() -> Iterator[Check]:
    """Every app that is installed can be loaded."""
    from village_apps.app import broken_apps, find_apps

    broken = broken_apps()
    for sentence in broken:
        yield Check("apps", ok=False, sentence=sentence, todo="install it anew, or remove it")
    if not broken:
        yield Check("apps", ok=True, sentence=f"{', '.join(app.name for app in find_apps()) or 'none'}")


def check_broker_kind(home: Home) -> Iterator[Check]:
    """What the broker promises; an external one promises less, which is said, not judged."""
    if load_settings(home.settings_file).broker.kind == "own":
        yield Check("promise", ok=True, sentence="the kit's own broker acknowledges a reading after it is on the disk")
        return
    from kit.broker.external import EXTERNAL_PROMISE

    yield Check("promise", ok=True, sentence=EXTERNAL_PROMISE)


def _as_text(check: Check) -> str:
    head = f"{'ok' if check.ok else 'NOT OK':<7} {check.name:<10} "
    lines = textwrap.wrap(check.sentence, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    if check.todo:
        lines += textwrap.wrap(
            f"→ {check.todo}", WIDTH, initial_indent=" " * len(head), subsequent_indent=" " * (len(head) + 2)
        )
    return "\n".join(line.rstrip() for line in lines)
