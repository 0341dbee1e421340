"""When to try again after a connection failed or broke: soon at first, then more seldom, never all at once. Pure.

A thousand kits lose their connections in the same second when the core restarts or a mast comes back. Each waits a
random time between nothing and a ceiling that doubles ("full jitter": M. Brooker, "Exponential Backoff and Jitter", AWS
Architecture Blog, 2015), so the core sees them spread over the ceiling instead of in a wave.
"""

from __future__ import annotations

FIRST_S, MOST_S = 4.0, 60.0
"""The ceilings of the first wait and of all later ones, in kit seconds. A modem that is back for only ten seconds must
still be used, so the last ceiling is a minute; four seconds spread a thousand kits to 250 handshakes a second, which
libzmq does on a small computer."""

LEAST_S = 0.2


def wait_s(failures: int, chance: float) -> float:
    """How long to wait before the next attempt, in kit seconds.

    Args:
        failures: attempts that failed since a connection last stood; 0 = one that stood has just broken.
        chance: 0 to 1, drawn anew for each wait.
    """
    return LEAST_S + chance * min(FIRST_S * 2.0 ** min(failures, 10), MOST_S)
