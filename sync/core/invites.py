"""Making an invite: what a kit needs to find the core, to know it, and to prove that it was asked."""

from __future__ import annotations

import re
import secrets

from kit.errors import KitError, UsageError
from kit.identity import load_or_create_curve_keys
from sync.core.kit_rows import token_of
from sync.core.setup import Core
from sync.core.store import InviteRow
from sync.protocol.enrolment import MAX_NAME_BYTES, Invite, curve_keys_from_token

DAY_MS = 86_400_000
MOST_DAYS = 365.0
LINK_IDS = 1 << 16
UNIT = re.compile(r"kit-[a-z2-7]{8}")
ATTEMPTS = 64
"""Link ids are drawn at random, so that two cores on the same air seldom share one; with 6,000 kits one in ten draws
is taken."""


def make_invite(core: Core, name: str, *, days: float, address: str | None = None, unit: str = "") -> str:
    """The text of a new invite for a kit of that name, good for one kit and that many days.

    Args:
        core: who invites.
        name: what the kit will be called at the core.
        days: by the core's clock.
        address: `tcp://HOST:PORT` at which the kit finds the core, "" = by radio only; None = `[core] public`.
        unit: the id of the only unit that may use it: whatever keys it shows are its keys from then on.

    Raises:
        UsageError: the name, the days, the address or the unit cannot be used.
        KitError: every link id is taken.
    """
    name = checked_name(name)
    if not 0 < days <= MOST_DAYS:
        raise UsageError(f"an invite cannot be good for {days:g} days; choose more than 0 and at most {MOST_DAYS:g}")
    address = checked_address(core.settings.core.public if address is None else address)
    if unit and not UNIT.fullmatch(unit):
        raise UsageError(f"'{unit}' is no kit's id; it looks like kit-7gq2mzk4 (kit status on the kit tells it)")
    now_ms = core.now_ms()
    with core.open_store() as store:
        for _ in range(ATTEMPTS):
            invite, salt = _draw(core, name, expires_ms=now_ms + int(days * DAY_MS), address=address)
            row = InviteRow(
                name=name,
                link_id=invite.link_id,
                salt=salt,
                knock_public=curve_keys_from_token(invite.token).public,
                created_ms=now_ms,
                expires_ms=invite.expires_ms,
                unit=unit,
            )
            if store.add_invite(row):
                return invite.encode()
    raise KitError("no link id is free for another kit; remove kits that are gone (kit core remove UNIT)")


def checked_name(name: str) -> str:
    """The name with single spaces.

    Raises:
        UsageError: it is empty, too long for a radio frame, or not printable.
    """
    name = " ".join(name.split())
    if not name or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(f"a kit's name has at least one letter and at most {MAX_NAME_BYTES} bytes; '{name}' has not")
    return name


def checked_address(address: str) -> str:
    """The address as it goes into an invite.

    Raises:
        UsageError: it is not one that a kit can connect to.
    """
    if not address:
        return ""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    if not address.startswith("tcp://") or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(
            f'[core] public = "{address}" is not tcp://HOST:PORT; for example "tcp://core.example.org:7450"'
        )
    return address


def _draw(core: Core, name: str, *, expires_ms: int, address: str) -> tuple[Invite, bytes]:
    from zmq.utils import z85

    salt = secrets.token_bytes(16)
    curve = z85.decode(load_or_create_curve_keys(core.home).public) if address else b""
    invite = Invite(
        core=core.identity.unit,
        core_public=core.identity.exchange_public,
        link_id=secrets.randbelow(LINK_IDS),
        token=token_of(core.identity.exchange_private, salt),
        expires_ms=expires_ms,
        name=name,
        address=address,
        curve_public=curve,
    )
    return invite, salt
