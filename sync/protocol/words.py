"""Bodies squeezed for the radio: deflate (RFC 1951) with a dictionary that both ends have.

A message of 140 characters has nothing to repeat; what makes it short are words known before. The dictionary is part of
the protocol's version: it never changes within one. English and Swahili first, other languages gain what they share.
"""

from __future__ import annotations

import zlib

from sync.protocol.errors import MalformedFrame

LARGEST_BYTES = 4096
"""Larger bodies are lessons and photos, which are packed already."""

SMALLEST_BYTES = 24

_RAW = -15  # raw deflate with a 32 KiB window: no header and no checksum, the seal has one

WORDS = (
    "the and that is was for are with his they this from have had not but what all were when we there can "
    "an your which their said if do will each about how up out them then she many some so these would "
    "other into has more her two like him see time could no make than first been its who now people my "
    "made over did down only way find use may water long little very after words called just where most "
    "know get through back much before go good new write our used me man too any day same right look "
    "think also around another came come work three must because does part even place well such here take "
    "why things help put years different away again off went old number great tell men say small every "
    "found still between name should home big give air line set own under read last never us left end "
    "along while might next below saw something thought both few those always looked show large often "
    "together asked house going want school important until form food keep children feet land side "
    "without boy once enough took sometimes four head above kind began almost live page got earth need "
    "far hand high year mother light parts country father let night following being study second soon "
    "story since ever paper hard near better best across during today however sure knew try told young "
    "sun whole hear example heard several change answer room sea against top turned learn point city "
    "toward five using usually money mobile phone battery solar charge radio message received confirm "
    "reply urgent na ya wa kwa ni la za kuwa katika hii leo kesho jana usiku asubuhi jioni mchana maji "
    "mvua baridi joto shamba mazao mahindi maharage kahawa ng'ombe mbuzi kuku dawa daktari hospitali "
    "zahanati mgonjwa mtoto watoto mama baba nyumba shule mwalimu barabara gari njia soko pesa bei msaada "
    "tafadhali asante habari nzuri karibu sana hapana ndiyo wapi lini nini gani watu kijiji jirani "
    "mkutano saa moja mbili tatu nne tano sita saba nane tisa kumi tunahitaji hatuna nahitaji naomba njoo "
    "fika tuma leta leteni chukua subiri haraka funika miche imefungwa mto homa frost tonight cover the "
    "seedlings please bring the medicine clinic nurse doctor sick child fever cow goat market price road "
    "is blocked bridge river flood rain meeting at the school tomorrow morning evening at o'clock we need "
    "water pump seeds fertilizer maize beans coffee harvest can you send somebody come to the village "
    "thank you. We are fine, nobody is hurt. Please call me when you arrive. "
)

_DICTIONARY = WORDS.encode()


def squeeze(body: bytes) -> bytes | None:
    """The body made shorter, or None if that gains nothing."""
    if not SMALLEST_BYTES <= len(body) <= LARGEST_BYTES:
        return None
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW, 9, zlib.Z_DEFAULT_STRATEGY, zdict=_DICTIONARY)
    short = deflate.compress(body) + deflate.flush()
    return short if len(short) < len(body) else None


def unsqueeze(short: bytes) -> bytes:
    """The body.

    Raises:
        MalformedFrame: it is none, or too large.
    """
    inflate = zlib.decompressobj(_RAW, zdict=_DICTIONARY)
    try:
        body = inflate.decompress(short, LARGEST_BYTES + 1)
    except zlib.error as error:
        raise MalformedFrame(f"a body that cannot be unpacked ({error})") from None
    if len(body) > LARGEST_BYTES or not inflate.eof or inflate.unused_data:
        raise MalformedFrame("a squeezed body that is too large, or not whole")
    return body
