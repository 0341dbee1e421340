"""Kits and invites in the core's tables: who may join, who has, and when each was last heard.

Invariants: an invite lets in one kit. A kit is its X25519 key; its id is derived from its first one, so nobody enrols
under another's: with another key than the first only a unit gets in that is known here by it, or that the invite was
made for. The store holds no secret: an invite's token is computed from the core's private key and a stored salt.
"""

from __future__ import annotations

import sqlite3

from kit.identity import unit_id
from sync.core import key_rows
from sync.core.store import EnrolledKit, Heard, InviteRow
from sync.protocol import keys
from sync.protocol.enrolment import TOKEN_BYTES, Hello, proof_is_right
from sync.protocol.peers import Peer, Refusal, RefusalReason, Role

_KNOCKS = "(expires_ms > ? OR (used_by <> '' AND welcomed_ms IS NULL))"
"""An invite that has expired is still good for the kit that used it in time and has not got the answer yet."""


def token_of(exchange_private: bytes, salt: bytes) -> bytes:
    """The token of the invite with that salt; nobody but the core can compute it."""
    return keys.derive(exchange_private, salt=salt, info=b"village-kit invite token 1")[:TOKEN_BYTES]


def add_invite(connection: sqlite3.Connection, invite: InviteRow) -> bool:
    """See `CoreStore.add_invite`."""
    taken = connection.execute("SELECT 1 FROM core_kits WHERE link_id = ?", (invite.link_id,)).fetchone()
    if taken is not None:
        return False
    made = connection.execute(
        "INSERT INTO core_invites (link_id, name, salt, knock_public, created_ms, expires_ms, unit) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            invite.link_id,
            invite.name,
            invite.salt,
            invite.knock_public,
            invite.created_ms,
            invite.expires_ms,
            invite.unit,
        ),
    )
    return bool(made.rowcount)


def open_invites(connection: sqlite3.Connection, *, now_ms: int) -> list[InviteRow]:
    """See `CoreStore.open_invites`."""
    rows = connection.execute(
        "SELECT * FROM core_invites WHERE used_by = '' AND expires_ms > ? ORDER BY expires_ms", (now_ms,)
    )
    return [_invite(row) for row in rows]


def withdraw_invites(connection: sqlite3.Connection, name: str, *, now_ms: int) -> int:
    """See `CoreStore.withdraw_invites`."""
    return connection.execute(
        "DELETE FROM core_invites WHERE used_by = '' AND expires_ms > ? AND name = ?", (now_ms, name)
    ).rowcount


def may_connect(connection: sqlite3.Connection, curve_public: bytes, *, now_ms: int) -> bool:
    """See `CoreStore.may_connect`."""
    if not curve_public:
        return False
    row = connection.execute(
        "SELECT 1 FROM core_kits WHERE curve_public = ? "  # noqa: S608 - our constant
        "UNION ALL SELECT 1 FROM core_kits WHERE next_curve = ? "
        f"UNION ALL SELECT 1 FROM core_invites WHERE knock_public = ? AND {_KNOCKS} LIMIT 1",
        (curve_public, curve_public, curve_public, now_ms),
    ).fetchone()
    return row is not None


def enrol(
    connection: sqlite3.Connection, hello: Hello, *, exchange_private: bytes, now_ms: int, link: str
) -> Peer | Refusal:
    """See `PeerBook.enrol`; in the caller's transaction."""
    row = connection.execute("SELECT * FROM core_invites WHERE link_id = ?", (hello.link_id,)).fetchone()
    if row is None:
        return Refusal(RefusalReason.UNKNOWN)
    invite = _invite(row)
    token = token_of(exchange_private, invite.salt)
    if not proof_is_right(hello, token=token, exchange_private=exchange_private):
        return Refusal(RefusalReason.FORGED)
    if invite.used_by:
        same = (invite.used_by, row["used_key"]) == (hello.unit, hello.exchange_public)
        return _said_again(by_link_id(connection, hello.link_id) if same else None, hello)
    if invite.expires_ms <= now_ms:
        return Refusal(RefusalReason.EXPIRED)
    reason = _why_not(connection, hello, invite)
    if reason is not None:
        return Refusal(reason)
    return _register(connection, hello, invite, now_ms=now_ms, link=link)


def _said_again(known: Peer | None, hello: Hello) -> Peer | Refusal:
    """The answer to a hello with an invite that was used."""
    if known is None:
        return Refusal(RefusalReason.USED)
    if hello.exchange_public not in (known.exchange_public, known.next_public):
        return Refusal(RefusalReason.TAKEN)  # a unit that was set back to the day when it joined, and renewed its keys
    return known


def _why_not(connection: sqlite3.Connection, hello: Hello, invite: InviteRow) -> RefusalReason | None:
    """Whether that key may stand for that id: it is known here, the operator vouches for it, or it made the id."""
    if invite.unit and invite.unit != hello.unit:
        return RefusalReason.MISFIT
    if key_rows.is_another_kits(connection, hello.exchange_public, unit=hello.unit):
        return RefusalReason.TAKEN
    before = connection.execute(
        "SELECT exchange_public, next_public FROM core_kits WHERE unit = ?", (hello.unit,)
    ).fetchone()
    if invite.unit or (before is not None and hello.exchange_public in before):
        return None
    if before is not None:
        return RefusalReason.TAKEN
    return None if hello.unit == unit_id(hello.exchange_public) else RefusalReason.MISFIT


def _register(connection: sqlite3.Connection, hello: Hello, invite: InviteRow, *, now_ms: int, link: str) -> Peer:
    connection.execute(
        "UPDATE core_invites SET used_by = ?, used_key = ? WHERE link_id = ?",
        (hello.unit, hello.exchange_public, hello.link_id),
    )
    connection.execute(
        "INSERT INTO core_kits (unit, name, link_id, exchange_public, curve_public, enrolled_ms, enrolled_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (unit) DO UPDATE SET name = excluded.name, "
        "link_id = excluded.link_id, exchange_public = excluded.exchange_public, "
        "curve_public = excluded.curve_public, enrolled_ms = excluded.enrolled_ms, "
        "enrolled_by = excluded.enrolled_by, twin_ms = NULL, "
        "next_public = CASE WHEN exchange_public = excluded.exchange_public THEN next_public END, "
        "next_curve = CASE WHEN exchange_public = excluded.exchange_public THEN next_curve END, "
        "next_epoch = -1, next_seq = -1",
        (hello.unit, invite.name, hello.link_id, hello.exchange_public, hello.curve_public, now_ms, link),
    )
    peer = by_link_id(connection, hello.link_id)
    assert peer is not None
    return peer


def by_link_id(connection: sqlite3.Connection, link_id: int) -> Peer | None:
    """See `PeerBook.by_link_id`."""
    row = connection.execute("SELECT * FROM core_kits WHERE link_id = ?", (link_id,)).fetchone()
    return None if row is None else _peer(row)


def peers(connection: sqlite3.Connection) -> list[Peer]:
    """See `PeerBook.all`."""
    return [_peer(row) for row in connection.execute("SELECT * FROM core_kits ORDER BY unit")]


def heard(connection: sqlite3.Connection, unit: str, *, link: str, via: str, now_ms: int) -> None:
    """See `PeerBook.heard`. A kit that was removed meanwhile is passed over."""
    connection.execute(
        "INSERT INTO core_heard SELECT unit, ?, ?, ? FROM core_kits WHERE unit = ? "
        "ON CONFLICT (unit, link) DO UPDATE SET via = excluded.via, at_ms = excluded.at_ms",
        (link, via, now_ms, unit),
    )
    connection.execute(
        "UPDATE core_invites SET welcomed_ms = ? WHERE welcomed_ms IS NULL AND used_by = ?", (now_ms, unit)
    )


def heard_by(connection: sqlite3.Connection, unit: str) -> str:
    """The link by which that kit was heard last; "" = by none."""
    row = connection.execute(
        "SELECT link FROM core_heard WHERE unit = ? ORDER BY at_ms DESC LIMIT 1", (unit,)
    ).fetchone()
    return "" if row is None else str(row[0])


def answers_by_hand(connection: sqlite3.Connection, unit: str, *, stick: str, since_ms: int, silent_ms: int) -> bool:
    """Whether a kit may be waiting for answers that are carried: it sent something so, or no link reaches it.

    Args:
        connection: to the store.
        unit: the kit.
        stick: the name under which what is carried is noted.
        since_ms: what was carried before that is forgotten.
        silent_ms: a kit heard by a link since then gets its answers there.
    """
    heard = dict(connection.execute("SELECT link, at_ms FROM core_heard WHERE unit = ?", (unit,)).fetchall())
    if heard.pop(stick, since_ms - 1) >= since_ms:
        return True
    return max(heard.values(), default=silent_ms - 1) < silent_ms


def twin_heard(connection: sqlite3.Connection, unit: str, *, now_ms: int) -> None:
    """See `PeerBook.twin_heard`. It stays so until one of the two has joined anew, with another link id."""
    connection.execute("UPDATE core_kits SET twin_ms = ? WHERE unit = ? AND twin_ms IS NULL", (now_ms, unit))


def remove_kit(connection: sqlite3.Connection, unit: str) -> bool:
    """See `CoreStore.remove_kit`. Its invites go, too: the same hello must not bring it back."""
    connection.execute("DELETE FROM core_invites WHERE used_by = ?", (unit,))
    return bool(connection.execute("DELETE FROM core_kits WHERE unit = ?", (unit,)).rowcount)


def kits(connection: sqlite3.Connection) -> list[EnrolledKit]:
    """See `CoreStore.kits`."""
    by_unit: dict[str, list[Heard]] = {}
    for row in connection.execute("SELECT unit, link, at_ms FROM core_heard ORDER BY at_ms DESC"):
        by_unit.setdefault(row["unit"], []).append(Heard(link=row["link"], at_ms=row["at_ms"]))
    records = dict(connection.execute("SELECT origin, sum(records) FROM core_counts GROUP BY origin").fetchall())
    return [
        EnrolledKit(
            unit=row["unit"],
            name=row["name"],
            link_id=row["link_id"],
            enrolled_ms=row["enrolled_ms"],
            heard=tuple(by_unit.get(row["unit"], ())),
            records=records.get(row["unit"], 0),
            twin_ms=row["twin_ms"],
        )
        for row in connection.execute("SELECT * FROM core_kits ORDER BY name COLLATE NOCASE, unit")
    ]


def _invite(row: sqlite3.Row) -> InviteRow:
    return InviteRow(
        name=row["name"],
        link_id=row["link_id"],
        salt=bytes(row["salt"]),
        knock_public=bytes(row["knock_public"]),
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
        used_by=row["used_by"],
        welcomed_ms=row["welcomed_ms"],
        unit=row["unit"],
    )


def _peer(row: sqlite3.Row) -> Peer:
    return Peer(
        unit=row["unit"],
        link_id=row["link_id"],
        exchange_public=bytes(row["exchange_public"]),
        role=Role.KIT,
        curve_public=bytes(row["curve_public"]),
        name=row["name"],
        twin=row["twin_ms"] is not None,
        next_public=bytes(row["next_public"] or b""),
    )
