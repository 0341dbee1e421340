"""Which link carries what, and the same in words for whoever asks why a record waits. Pure.

The rule: the most urgent goes by every link that is up. Everything else goes by the widest link that may carry it and
is not doubted; a narrower one helps out only with what no wider one takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sync.protocol.records import Priority

ALL_PRIORITIES = frozenset(int(priority) for priority in Priority)

CORE_IS_FULL = "the city core has no room to store anything now, so only alarms go to it; it is asked again by itself"

_TOO_BULKY = "raw readings and bulk wait for a wider link"


def carried(lowest_priority: int, better: Iterable[int]) -> frozenset[int]:
    """The priorities a link carries.

    Args:
        lowest_priority: the largest priority number it may carry.
        better: the same of each wider link that is up, reaches the peer and is not doubted.
    """
    taken = max(better, default=-1)
    return frozenset(
        priority for priority in ALL_PRIORITIES if priority <= lowest_priority and (priority == 0 or priority > taken)
    )


@dataclass(frozen=True, kw_only=True)
class LinkFacts:
    """What is known of a link, as the sync service last told.

    Attributes:
        state: `up`, `busy`, `connecting` or `down`.
        explain: why, in a sentence.
        lowest_priority: the largest priority number it carries.
        width: frames this large fit; the wider link is preferred.
        not_welcome: why the other side takes nothing at all, whichever link is up; "" = it does.
        core_full: it has no room for anything but alarms.
        budget: what is used of the day's metered bytes, in words; "" = not metered.
        budget_lowest: the largest priority number that these bytes are still for.
    """

    name: str
    state: str
    explain: str
    lowest_priority: int
    width: int
    not_welcome: str = ""
    core_full: bool = False
    budget: str = ""
    budget_lowest: int = int(Priority.BULK)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What is known of a record that waits.

    Attributes:
        left: the links it has left by and has not been acknowledged over.
        ahead: how many records go before it.
        expired: whether its lifetime is over.
    """

    priority: int
    left: Sequence[str]
    ahead: int
    expired: bool


def why_waiting(record: Waiting, links: Sequence[LinkFacts], *, serving: bool, joined: bool) -> str:
    """One sentence: why this record has not been accepted yet, and what it waits for.

    Args:
        record: which.
        links: every link the unit has.
        serving: whether the sync service runs.
        joined: whether the unit belongs to a core.
    """
    stopped = (
        (record.expired, "its time ran out before the core had it; it is not sent any more"),
        (not joined, "this kit has joined no city core yet (kit join INVITE)"),
        (not serving, "the sync service does not run (kit status says why)"),
        (not links, "no link is set up: [links.lora] or [links.cellular] in kit.toml, or a USB stick"),
    )
    for is_so, sentence in stopped:
        if is_so:
            return sentence
    route = _route(record.priority, links)
    return _on_its_way(record, route) if route else _no_way(record.priority, links)


def _on_its_way(record: Waiting, route: Sequence[LinkFacts]) -> str:
    names = " and ".join(link.name for link in route)
    left = f"left by {' and '.join(record.left)}; not acknowledged yet" if record.left else ""
    if any(link.not_welcome for link in route):
        return next(link.not_welcome for link in route if link.not_welcome)
    if any(link.core_full for link in route) and record.priority != Priority.DISTRESS:
        return CORE_IS_FULL
    if all(link.state == "busy" for link in route) and record.priority != Priority.DISTRESS:
        return "; ".join(filter(None, (left, f"{names} is busy: {route[0].explain}")))
    if left:
        return f"{left}, it goes again by {names} if no answer comes"
    if record.ahead:
        records = "record goes" if record.ahead == 1 else "records go"
        return f"goes by {names}; {record.ahead} more urgent or older {records} first"
    return f"next to go by {names}"


def _route(priority: int, links: Sequence[LinkFacts]) -> list[LinkFacts]:
    able = sorted((link for link in links if link.state in ("up", "busy")), key=lambda link: -link.width)
    return [
        link
        for place, link in enumerate(able)
        if priority in carried(link.lowest_priority, [better.lowest_priority for better in able[:place]])
    ]


def _no_way(priority: int, links: Sequence[LinkFacts]) -> str:
    able = [link for link in links if link.state in ("up", "busy") and priority > link.lowest_priority]
    spent = [link for link in able if priority > link.budget_lowest]
    narrow = [link.name for link in able if link not in spent]
    down = [f"{link.name} is {link.state}: {link.explain}" for link in links if link.state not in ("up", "busy")]
    parts = [f"{' and '.join(narrow)} does not carry it: {_TOO_BULKY}"] if narrow else []
    parts += [
        f"{link.name} keeps the rest of today's mobile data for what is more urgent ({link.budget}); it goes tomorrow"
        for link in spent
    ]
    return "; ".join([*parts, *down]) or "no link can carry it now"
