"""What a radio cannot or may not do, and in what words it is told.

Frames that are too long for the law, presets too wide for a band, and what the radio itself refuses.
"""

from __future__ import annotations

from sync.links.air_account import DIRECT_OVERHEAD_BYTES
from sync.links.port import LinkError
from sync.protocol.airtime import PRESETS, fits_band, largest_frame
from sync.protocol.frames import LORA_FRAME_BYTES

REFUSALS = {
    "DUTY_CYCLE_LIMIT": "says that its share of airtime is spent; it sends again later",
    "TOO_LARGE": "refuses frames as too large; update its firmware",
    "NO_CHANNEL": "has no channel to send on; check [links.lora] channel, or set the radio with its own app",
    "MAX_RETRANSMIT": "got no confirmation from any other radio; is one within reach?",
    "RATE_LIMIT_EXCEEDED": "says that it was given too much at once; it sends again later",
}
"""What a radio says of a packet that it did not send, in words. The session sends the frame again in any case."""
MENDED_BY_A_PERSON = ("TOO_LARGE", "NO_CHANNEL")
MENDED_AFTER_S = 600.0
"""Kit seconds without another such refusal, and it counts as mended."""

LEAST_FRAME_BYTES = 90
"""Below this a frame holds little besides its seal."""


def frame_bytes_for(region: str, preset: str) -> int:
    """The largest frame that may be sent there.

    Raises:
        LinkError: a preset that the region's band or law has no room for.
    """
    if preset not in PRESETS:
        return LORA_FRAME_BYTES  # the account says what is wrong with it
    if not fits_band(region, preset):
        raise LinkError(
            f"{preset} is wider than the band of {region}; [links.lora] preset is one of "
            f"{', '.join(each for each in PRESETS if fits_band(region, each))}"
        )
    size = largest_frame(region, preset, most_bytes=LORA_FRAME_BYTES, extra_bytes=DIRECT_OVERHEAD_BYTES)
    if size < LEAST_FRAME_BYTES:
        good = [
            each for each in PRESETS
            if largest_frame(region, each, most_bytes=LEAST_FRAME_BYTES, extra_bytes=DIRECT_OVERHEAD_BYTES)
            == LEAST_FRAME_BYTES and fits_band(region, each)
        ]  # fmt: skip
        raise LinkError(
            f"in {region} a transmission may not be as long as {preset} needs for a frame; "
            f"[links.lora] preset is one of {', '.join(good)}"
        )
    return size
