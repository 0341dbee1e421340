"""The body of a record of kind "core-key": with what the core signs what it says to all of its kits. Pure."""

from __future__ import annotations

KIND = "core-key"
KEY_BYTES = 32


class CoreKeyError(ValueError):
    """This body tells no key that this version understands."""


def core_key_body(signing_public: bytes) -> bytes:
    """As CBOR: [1, Ed25519 public key (32 bytes)]."""
    import cbor2

    return cbor2.dumps([1, signing_public])


def core_key_from_body(body: bytes) -> bytes:
    """Read one.

    Raises:
        CoreKeyError: it is none.
    """
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=4)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise CoreKeyError(f"the body is no CBOR ({error})") from error
    match told:
        case [1, bytes() as key, *_] if len(key) == KEY_BYTES:
            return key
    raise CoreKeyError("the body is no key that this version knows")
