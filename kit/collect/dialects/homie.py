"""Homie 3 and 4: `homie/<device>/<node>/<property>` with a plain value; attributes begin with `$`.

`$unit`, `$datatype` and `$nodes` are learned; they come (retained) before the values. Where a device has several
nodes, a property is labelled with its node, unless the node is itself the name of what is measured.
"""

from __future__ import annotations

from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    DialectError,
    Guide,
    Heard,
    Parsed,
    Setting,
    plain_settings,
)
from kit.collect.dialects.reading import meaning, observe, read_number

PREFIX = "homie"
_KEPT = frozenset({"$unit", "$datatype"})
_NUMBERS = frozenset({"", "integer", "float", "percent"})
_VALUE_LEVELS, _DEVICE_ATTRIBUTE, _PROPERTY_ATTRIBUTE = 2, 1, 3
MAX_LEARNED = 200
"""Characters of an attribute."""


class HomieDialect(BelowPrefix):
    """See the module."""

    name = "homie"
    prefix = PREFIX
    read = (f"{PREFIX}/$broadcast/#",)
    guide = Guide(
        title="Homie 3 and 4",
        what="devices after the Homie convention: homie-esp8266 boards, openHAB and ioBroker bridges, Souliss",
        where="the device's own configuration",
        reads="`homie/<device>/<node>/<property>`; units from `$unit`",
        notes=("Homie 5 (`homie/5/…`) describes itself otherwise and is not read.",),
        sources=("https://homieiot.github.io/specification/spec-core-v4_0_0/",),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """What Homie's configuration calls them."""
        before, _, device = base.rpartition("/")
        return plain_settings(
            access, device, Setting("Base topic", f"{before}/"), Setting("Device ID (device_id)", device)
        )

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the convention's usual base topic."""
        del payload
        levels = topic.split("/")
        known = levels[0] == PREFIX and len(levels) > _VALUE_LEVELS and levels[1] not in {"", "5", "$broadcast"}
        return "/".join(levels[:2]) if known else None

    def parse(self, heard: Heard) -> Parsed:
        """Learn an attribute, or read a value."""
        levels = (heard.below or "").split("/")
        if any(level.startswith("$") for level in levels):
            return _learn(levels, heard)
        if len(levels) != _VALUE_LEVELS or not all(levels):
            return NOTHING  # `…/set` is a command
        node, word = levels
        if heard.known.get(f"{node}/{word}/$datatype", "") not in _NUMBERS or not heard.payload:
            return NOTHING
        value = read_number(heard.payload)
        if value is None:
            if heard.known.get(f"{node}/{word}/$datatype"):
                raise DialectError(f"the value of '{node[:40]}/{word[:40]}' is no number, though it says it would be")
            return NOTHING
        several = "," in heard.known.get("$nodes", ",")
        unit = heard.known.get(f"{node}/{word}/$unit", "")
        if meaning(word) is None and meaning(node) is not None:
            return Parsed([observe(node, value, unit=unit)])
        label = node if several and meaning(node) is None else ""
        return Parsed([observe(word, value, unit=unit, label=label)])


DIALECT = HomieDialect()


def _learn(levels: list[str], heard: Heard) -> Parsed:
    is_nodes = levels == ["$nodes"]
    is_kept = len(levels) == _PROPERTY_ATTRIBUTE and levels[2] in _KEPT and not levels[0].startswith("$")
    if not (is_nodes or is_kept) or len(heard.below or "") > MAX_LEARNED:
        return NOTHING
    told = heard.payload[: 4 * MAX_LEARNED].decode("utf-8", "replace").strip()[:MAX_LEARNED]
    key = "/".join(levels)
    return NOTHING if heard.known.get(key, "") == told else Parsed((), (), {key: told})
