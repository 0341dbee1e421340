"""Joining a city core, the kit's side: the invite is kept until the core has answered, and after that as proof of where
this kit belongs.

Invariant: the file is whole or absent, readable by its owner only, and survives a power cut (`kit.identity.write_secret`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from kit.clock import Clock
from kit.errors import KitError, UsageError
from kit.home import Home
from kit.identity import write_secret
from sync.protocol.enrolment import Invite
from sync.protocol.errors import InviteError

FILE = "core.json"


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
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, InviteError) as error:
        raise KitError(f"{file} cannot be read ({error}); join again with: kit join INVITE --force") from error


def has_joined(home: Home) -> bool:
    """Whether an invite was accepted here, answered or not."""
    return (home.keys / FILE).exists()


def join(home: Home, text: str, *, clock: Clock, force: bool = False) -> Invite:
    """Keep the invite; the sync service says hello with it as soon as it finds a way.

    Raises:
        UsageError: the invite is mistyped or has expired.
        KitError: this kit belongs to another core already, and `force` was not given.
    """
    try:
        invite = Invite.decode(text)
    except InviteError as error:
        raise UsageError(str(error)) from error
    if clock.trusted and invite.expires_ms <= clock.now() * 1000:
        raise UsageError("the invite has expired; ask the city core for a new one (kit core invite NAME)")
    if not force:
        old = read_membership(home)
        if old is not None and old.invite == invite:
            return invite
        if old is not None:
            raise KitError(
                f"this kit already belongs to {old.core_name or old.invite.core}; to leave it for another core, "
                f"type: kit join INVITE --force"
            )
    write_secret(home.keys / FILE, {"invite": text, "enrolled": False, "core_name": ""})
    return invite


def enrolled(home: Home, *, core_name: str) -> None:
    """The core has answered: from now on records go out."""
    membership = read_membership(home)
    if membership is not None:
        write_secret(home.keys / FILE, {"invite": membership.text, "enrolled": True, "core_name": core_name})
