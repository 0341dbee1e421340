"""Short names in few bits: what a name shares with the one before it, then letters by how common they are."""

from __future__ import annotations

from sync.packing.coder import Coder
from sync.packing.errors import PackingError
from sync.packing.numbers import Lengths

MAX_NAME_BYTES = 400

_LETTERS = {
    **dict(
        zip(
            "etaionsrlhdcumpfgwybvkxjqz",
            (12, 10, 9, 8, 8, 8, 7, 7, 6, 4, 5, 5, 4, 4, 4, 4, 4, 3, 3, 3, 2, 3, 2, 1, 1, 1),
            strict=True,
        )
    ),
    **dict(zip("-0123456789_ ", (8, 4, 6, 5, 4, 3, 2, 2, 2, 2, 2, 3, 1), strict=True)),
}
"""How common letters are in sensors' names, about. One more place, of weight 3, is any other byte, spelled."""

_COMMON = "".join(_LETTERS)

_OTHER = len(_COMMON)
_BELOW = [sum((*_LETTERS.values(), 3)[:at]) for at in range(_OTHER + 2)]


class Names:
    """Codes one name after the other; sorted ones are the shortest."""

    def __init__(self) -> None:
        self._before = b""
        self._shared, self._more = Lengths(2), Lengths(2)

    def code(self, coder: Coder, name: str = "") -> str:
        """The next name.

        Raises:
            PackingError: it is too long, or its bytes are no UTF-8.
        """
        wanted = name.encode("utf-8")
        limit = min(len(wanted), len(self._before))
        same = next((at for at in range(limit) if wanted[at] != self._before[at]), limit)
        shared = self._shared.natural(coder, same)
        count = self._more.natural(coder, len(wanted) - same)
        if shared > len(self._before) or shared + count > MAX_NAME_BYTES:
            raise PackingError(f"a name may have {MAX_NAME_BYTES} bytes; this one claims {shared + count}")
        told = bytearray(self._before[:shared])
        for at in range(count):
            told.append(_code_byte(coder, wanted[shared + at] if wanted else 0))
        self._before = bytes(told)
        try:
            return self._before.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PackingError("a name in the packed bytes is no text") from error


def _code_byte(coder: Coder, byte: int) -> int:
    letter = chr(byte)
    place = coder.pick(_BELOW.__getitem__, 0, _OTHER, _COMMON.index(letter) if letter in _COMMON else _OTHER)
    return coder.raw(8, byte) if place == _OTHER else ord(_COMMON[place])
