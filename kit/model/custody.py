"""The body of a record of kind "custody": how far records of the addressee are known to have come. Pure.

Invariant: a record is only ever said to be *delivered* when the kit it is for has committed it, only ever said to be
*read* when a person there has said so, and only ever said to be *opened* when somebody's browser there was given the
file in it: that is not reading, let alone understanding. Its addressee is the origin of the records it tells of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KIND = "custody"

MAX_TOLD = 64
"""Records in one body: more go into the next, so that a frame of a radio can hold it."""

LONGEST_NAME = 80

LIFETIME_S = 30 * 24 * 3600
"""After a month nobody waits for it any more."""

_DELIVERED, _READ, _UNDELIVERABLE, _OPENED = 1, 2, 3, 4


class CustodyError(ValueError):
    """This body tells nothing that this version understands."""


@dataclass(frozen=True, kw_only=True)
class CustodyNote:
    """What is told.

    Attributes:
        read: whether a person has read them; else they were delivered to the kit they are for, unless one of these two:
        undeliverable: the core knows no such kit (any more): they will not be delivered.
        opened: a browser there has asked for the file in them and got it.
        at_ms: when it became so, Unix ms.
        told: (epoch, seq) of each record.
        person: who has read them, as they named themselves; "" where nobody has, or gave no name.
    """

    read: bool
    at_ms: int
    told: tuple[tuple[int, int], ...]
    person: str = ""
    undeliverable: bool = False
    opened: bool = False


def custody_body(note: CustodyNote) -> bytes:
    """As CBOR: [1, code (1 delivered, 2 read, 3 undeliverable, 4 opened), at_ms, [[epoch, seq], …], person].

    Raises:
        CustodyError: it tells of no record, or of too many.
    """
    import cbor2

    if not 0 < len(note.told) <= MAX_TOLD:
        raise CustodyError(f"a custody record tells of 1 to {MAX_TOLD} records")
    told = ((_READ, note.read), (_UNDELIVERABLE, note.undeliverable), (_OPENED, note.opened))
    code = next((code for code, so in told if so), _DELIVERED)
    return cbor2.dumps([1, code, note.at_ms, [list(each) for each in note.told], note.person[:LONGEST_NAME]])


def custody_from_body(body: bytes) -> CustodyNote:
    """Read one.

    Raises:
        CustodyError: it is none.
    """
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=8)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise CustodyError(f"the body is no CBOR ({error})") from error
    if not isinstance(told, list) or len(told) < 5 or told[0] != 1:  # noqa: PLR2004 - the fields of custody_body
        raise CustodyError("the body is no custody record that this version knows")
    _, code, at_ms, records, person = told[:5]
    if (
        not isinstance(code, int)
        or code not in (_DELIVERED, _READ, _UNDELIVERABLE, _OPENED)
        or not _is_count(at_ms)
        or not isinstance(person, str)
    ):
        raise CustodyError("the body has a field of the wrong kind")
    return CustodyNote(
        read=code == _READ,
        at_ms=at_ms,
        told=_names(records),
        person=person[:LONGEST_NAME],
        undeliverable=code == _UNDELIVERABLE,
        opened=code == _OPENED,
    )


def _names(records: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(records, Sequence) or not 0 < len(records) <= MAX_TOLD:
        raise CustodyError(f"the body tells of no record, or of more than {MAX_TOLD}")
    names = []
    for each in records:
        if not isinstance(each, list) or len(each) != 2 or not all(map(_is_count, each)):  # noqa: PLR2004 - epoch and seq
            raise CustodyError("a record in the body has no name")
        names.append((int(each[0]), int(each[1])))
    return tuple(names)


def _is_count(told: object) -> bool:
    return isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 2**53
