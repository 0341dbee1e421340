"""Joining a city core, the kit's side: the invite is kept, first to say hello with, then to know where we belong.

Invariant: the file is whole or absent, readable by its owner only, and survives a power cut
(`kit.identity.write_secret`). The sync service looks at it by itself, so nothing needs to be restarted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.clock import Clock
from kit.errors import KitError, UsageError
from kit.home import Home
from kit.identity import write_secret
from sync.protocol.enrolment import Invite
from sync.protocol.errors import InviteError

FILE = "core.json"
"""Below `keys/`: it holds the invite, and with it a token that lets one kit in."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Which core this kit belongs to.

    Attributes:
        text: the invite as it was typed.
        invite: the same, read.
        enrolled: whether the core has answered.
        core_name: as the core calls itself; "" until it has answered.
    """

    text: str
    invite: Invite
    enrolled: bool
    core_name: str = ""

    @property
    def known_as(self) -> str:
        """The core, for people."""
        return self.core_name or self.invite.core


def read_membership(home: Home) -> Membership | None:
    """The core this kit has joined, or None.

    Raises:
        KitError: the file is damaged.
    """
    file = home.keys / FILE
    try:
        told = json.loads(file.read_text())
        return Membership(
            text=told["invite"],
            invite=Invite.decode(told["invite"]),
            enrolled=bool(told["enrolled"]),
            core_name=str(told.get("core_name", "")),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InviteError) as error:
        raise KitError(f"{file} cannot be read ({error}); join again with: kit join INVITE --force") from error


def has_joined(home: Home) -> bool:
    """Whether an invite was accepted here, answered or not."""
    return (home.keys / FILE).exists()


def join(home: Home, text: str, *, clock: Clock, force: bool = False) -> Membership:
    """Keep the invite; the sync service says hello with it as soon as it finds a way.

    The invite that is already kept changes nothing. Another one of the same core replaces it.

    Args:
        home: the kit's.
        text: the invite as a person pasted it.
        clock: decides whether the invite has expired; the core has the last word.
        force: leave another core for this one, and believe the invite more than the clock.

    Raises:
        UsageError: the invite is mistyped or cut short.
        KitError: it has expired, or this kit belongs to another core, or is one.
    """
    try:
        invite = Invite.decode(text)
    except InviteError as error:
        raise UsageError(str(error)) from error
    if home.core_database.exists():
        raise KitError(f"{home.path} is the home of a city core; type kit join on the kit that is to join")
    if not force:
        old = read_membership(home)
        if old is not None and old.invite == invite:
            return old
        _check_other_core(old, invite)
        _check_time(invite, clock)
    text = invite.encode()
    write_secret(home.keys / FILE, {"invite": text, "enrolled": False, "core_name": ""})
    return Membership(text=text, invite=invite, enrolled=False)


def enrolled(home: Home, *, core_name: str) -> None:
    """The core has answered: from now on records go out."""
    membership = read_membership(home)
    if membership is not None:
        write_secret(home.keys / FILE, {"invite": membership.text, "enrolled": True, "core_name": core_name})


def _check_other_core(old: Membership | None, invite: Invite) -> None:
    if old is not None and old.invite.core_public != invite.core_public:
        raise KitError(
            f"this kit already belongs to {old.known_as}; to leave it for {invite.core}, type: "
            f"kit join INVITE --force (what {old.known_as} has accepted is not sent again)"
        )


def _check_time(invite: Invite, clock: Clock) -> None:
    if invite.expires_ms > clock.now() * 1000 or not clock.trusted:
        return  # a kit that does not know the time leaves it to the core, which will refuse an invite that is over
    try:
        expired = datetime.fromtimestamp(invite.expires_ms / 1000, UTC).strftime("on %Y-%m-%d at %H:%M UTC")
    except (ValueError, OverflowError):
        expired = "long ago"
    raise KitError(f"the invite expired {expired}; ask the city core for a new one (kit core invite NAME)")
