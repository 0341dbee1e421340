"""The bodies of records of kind "new-key": a kit's next keys, and the core's answer that it knows them. Pure."""

from __future__ import annotations

KIND = "new-key"
KEY_BYTES = 32


class NewKeyError(ValueError):
    """This body tells no keys that this version understands."""


def new_key_body(exchange_public: bytes, curve_public: bytes, offer: int) -> bytes:
    """A kit's, as CBOR: [1, X25519 public key (32 bytes), CURVE public key (32 bytes), how often they were offered]."""
    import cbor2

    return cbor2.dumps([1, exchange_public, curve_public, offer])


def new_key_from_body(body: bytes) -> tuple[bytes, bytes, int]:
    """Read one: the X25519 key, the CURVE key, and the number of the offer.

    Raises:
        NewKeyError: it is none.
    """
    match _told(body):
        case [1, bytes() as exchange, bytes() as curve, int() as offer, *_] if len(exchange) == len(curve) == KEY_BYTES:
            return exchange, curve, offer
    raise NewKeyError("the body tells no keys that this version knows")


def known_key_body(exchange_public: bytes, offer: int) -> bytes:
    """The core's answer, as CBOR: [1, the X25519 public key that it knows now, the number of the offer]."""
    import cbor2

    return cbor2.dumps([1, exchange_public, offer])


def known_key_from_body(body: bytes) -> tuple[bytes, int]:
    """Read the core's answer: the X25519 key, and the number of the offer.

    Raises:
        NewKeyError: it is none.
    """
    match _told(body):
        case [1, bytes() as exchange, int() as offer, *_] if len(exchange) == KEY_BYTES:
            return exchange, offer
    raise NewKeyError("the body names no key that this version knows")


def _told(body: bytes) -> object:
    import cbor2

    try:
        return cbor2.loads(body, max_depth=4)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise NewKeyError(f"the body is no CBOR ({error})") from error
