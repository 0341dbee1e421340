"""The recovery code: the key of a unit's backups as it is printed and kept on paper; pure.

128 random bits in Crockford's base 32 (no i, l, o, u), with 10 bits of their SHA-256, so that a slip of the pen is
noticed before a backup is called damaged: seven groups of four, `a7k2-…`. What is misread easily is read as it was
meant.
"""

from __future__ import annotations

import hashlib

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SECRET_BYTES = 16
_SYMBOLS = 26  # 130 bits hold the secret
_CHECK_SYMBOLS = 2
_MISREAD = str.maketrans({"o": "0", "i": "1", "l": "1", "u": "v"})


class RecoveryCodeError(ValueError):
    """This is no recovery code; the sentence says what is wrong with it."""


def encode_code(secret: bytes) -> str:
    """The code of a secret of 16 bytes."""
    number = int.from_bytes(secret, "big")
    symbols = [ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_SYMBOLS))]
    text = "".join(symbols) + _check(secret)
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def decode_code(text: str) -> bytes:
    """The secret, whatever the case and the dashes.

    Raises:
        RecoveryCodeError: it is too long, too short or mistyped.
    """
    symbols = "".join(text.lower().split()).replace("-", "").translate(_MISREAD)
    wanted = _SYMBOLS + _CHECK_SYMBOLS
    if len(symbols) != wanted:
        raise RecoveryCodeError(f"a recovery code has {wanted} letters and digits, this has {len(symbols)}")
    strange = next((symbol for symbol in symbols if symbol not in ALPHABET), None)
    if strange is not None:
        raise RecoveryCodeError(f"'{strange}' occurs in no recovery code")
    number = 0
    for symbol in symbols[:_SYMBOLS]:
        number = number << 5 | ALPHABET.index(symbol)
    if number >> (8 * SECRET_BYTES):
        raise RecoveryCodeError("the recovery code is mistyped; compare it with the paper, group by group")
    secret = number.to_bytes(SECRET_BYTES, "big")
    if _check(secret) != symbols[_SYMBOLS:]:
        raise RecoveryCodeError("the recovery code is mistyped; compare it with the paper, group by group")
    return secret


def _check(secret: bytes) -> str:
    number = int.from_bytes(hashlib.sha256(b"village-kit recovery code" + secret).digest()[:2], "big") >> 6
    return ALPHABET[number >> 5] + ALPHABET[number & 31]
