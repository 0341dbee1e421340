"""Making an invite: what a kit needs to find the core, to know it, and to prove that it was asked."""

from __future__ import annotations

import secrets

from kit.errors import KitError
from kit.identity import load_or_create_curve_keys
from sync.core.kit_rows import token_of
from sync.core.setup import Core
from sync.core.store import InviteRow
from sync.protocol.enrolment import Invite, curve_keys_from_token

DAY_MS = 86_400_000
LINK_IDS = 1 << 16
ATTEMPTS = 64
"""Link ids are drawn at random, so that two cores on the same air seldom share one; with 6,000 kits one in ten draws
is taken."""


def make_invite(core: Core, name: str, *, days: float) -> str:
    """The text of a new invite for a kit of that name, good for one kit and that many days.

    Raises:
        KitError: every link id is taken.
    """
    now_ms = core.now_ms()
    with core.open_store() as store:
        for _ in range(ATTEMPTS):
            invite = _draw(core, name, expires_ms=now_ms + int(days * DAY_MS))
            row = InviteRow(
                name=name,
                link_id=invite[0].link_id,
                salt=invite[1],
                knock_public=curve_keys_from_token(invite[0].token).public,
                created_ms=now_ms,
                expires_ms=invite[0].expires_ms,
            )
            if store.add_invite(row):
                return invite[0].encode()
    raise KitError("no link id is free for another kit; remove kits that are gone")


def _draw(core: Core, name: str, *, expires_ms: int) -> tuple[Invite, bytes]:
    from zmq.utils import z85

    salt = secrets.token_bytes(16)
    address = core.settings.core.public
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
