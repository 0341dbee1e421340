"""A frame that the keys in use do not open: whether it is sealed for the other pair, while a unit has two of them.

A kit that renews its keys has an old and a new pair for a while, and the core knows both public halves. Only full
frames are looked at: a short one belongs to a conversation, and whoever speaks under other keys begins one anew.
"""

from __future__ import annotations

from sync.protocol.errors import RemoteSyncError
from sync.protocol.frames import FrameType, frame_type
from sync.protocol.keys import agree
from sync.protocol.peers import Role
from sync.protocol.sealing import Opened, Opener


def opened_under(
    frame: bytes, *, exchange_private: bytes, exchange_public: bytes, link_id: int, sender: Role
) -> Opened | None:
    """What is in the full frame, if it was sealed with these keys; else None.

    Args:
        frame: as it came.
        exchange_private: ours, X25519.
        exchange_public: the sender's, X25519.
        link_id: of the kit.
        sender: which end sealed it.
    """
    kind = FrameType.UP if sender is Role.KIT else FrameType.DOWN
    try:
        if frame_type(frame) is not kind:
            return None
        return Opener(agree(exchange_private, exchange_public), kind=kind, link_id=link_id).open(frame)
    except (RemoteSyncError, ValueError):
        return None
