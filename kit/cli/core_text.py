"""The text of `kit core status`; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.health.words import ago_words, service_words

LABEL = 10
"""Width of the labels on the left."""


def status_text(told: Mapping[str, Any]) -> str:
    """The core at a glance."""
    records = told["records"]
    lines = [f"{told['name']} ({told['core']})", f"{told['time']}", ""]
    if told["problems"]:
        lines += ["This needs you:", *(f"! {problem}" for problem in told["problems"]), ""]
    lines += _block(
        "Services", [f"{each['name']:<9} {service_words(each)}" for each in told["services"]], "not running"
    )
    lines += _block(
        "Links", [f"{each['name']:<9} {each['state']}: {each['explain']}" for each in told["links"]], "none yet"
    )
    lines += _block("Kits", [f"{told['kits']}{_heard(told)}"], "")
    for twin in told["twins"]:
        lines.append(
            f"{'':<{LABEL}}{twin} is REFUSED: two units with its keys are alive (was its SD card copied?). "
            f'Switch one off and let the other join again: kit core invite "{twin}"'
        )
    unconfirmed = told["unconfirmed"]
    standing = f", {unconfirmed} NOT CONFIRMED by anybody" if unconfirmed else ", all confirmed"
    lines += _block("Warnings", [f"{told['warnings']}{standing}" if told["warnings"] else "none"], "")
    lines += _block("Invites", [f"{each['name']}, until {each['expires']}" for each in told["invites"]], "none waiting")
    lines += _block("Records", [f"{records['taken']} received"], "")
    if records["undecodable"]:
        lines.append(f"{'':<{LABEL}}{records['undecodable']} could not be read; they are kept (kit core records)")
    if records["refused"]:
        lines.append(f"{'':<{LABEL}}{records['refused']} refused; they are kept (kit core records --refused)")
    return "\n".join(lines)


def _heard(told: Mapping[str, Any]) -> str:
    if not told["kits"]:
        return ""
    silent = f", {told['silent']} silent" if told["silent"] else ""
    return f", last heard {ago_words(told['last_heard'], told['time'])}{silent}"


def _block(label: str, lines: list[str], nothing: str) -> list[str]:
    shown = lines or [nothing]
    return [f"{label if number == 0 else '':<{LABEL}}{line}" for number, line in enumerate(shown)]
