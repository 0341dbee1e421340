"""A real kit gets new keys at a real core, is killed in the middle of it, and goes on under them."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from whole_unit import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from village import Village

pytestmark = pytest.mark.timeout(300)


def public(home: Path) -> str:
    return str(json.loads((home / "keys" / "unit.json").read_text())["exchange_public"])


def known_to(core: Path) -> tuple[str, str | None]:
    connection = sqlite3.connect(core / "core.db")
    try:
        ((key, after),) = connection.execute("SELECT hex(exchange_public), hex(next_public) FROM core_kits")
    finally:
        connection.close()
    return str(key).lower(), after


def test_a_kit_that_is_killed_while_its_keys_are_renewed_ends_with_the_new_ones(village: Village) -> None:
    village.start(village.core, "core", "run")
    invite = village.kit("core", "invite", "kinamba", home=village.core)
    village.start(village.home, "run")
    village.kit("join", invite["invite"])
    village.kit("messages", "send", "city", "before")
    wait_until(village.all_accepted, seconds=90, what="the first message is accepted")
    old = public(village.home)
    told: dict[str, Any] = village.kit("sync", "rotate-keys")
    assert told["begun"]
    assert told["rotation"]["stage"] == "offered"
    village.power_cut(village.home)
    village.kit("messages", "send", "city", "meanwhile")
    village.start(village.home, "run")
    wait_until(
        lambda: (public(village.home) != old and village.kit("status")["rotation"] is None) or None,
        seconds=90,
        what="the kit has forgotten its old keys",
    )
    assert known_to(village.core) == (public(village.home), "")
    village.kit("messages", "send", "city", "after")
    wait_until(village.all_accepted, seconds=90, what="the last message is accepted")
    kinds = [row["kind"] for row in village.records()]
    assert kinds.count("message") == 3
    assert kinds.count("new-key") == 1
