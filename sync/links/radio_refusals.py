"""What the radio itself will not send, and says so: counted, waited out, and told to a person where one can mend it.

Not locked: whoever uses it holds the link's lock. Times are kit seconds.
"""

from __future__ import annotations

from collections import Counter

from sync.links.radio_limits import MENDED_AFTER_S, MENDED_BY_A_PERSON, REFUSALS

PAUSE_S = 60.0
"""After the radio itself says that its duty cycle is spent, leave it alone for a minute."""

TRANSMITTER_OFF = 34  # ERRNO_DISABLED in queueStatus.res
DUTY_CYCLE_LIMIT = 9  # Routing.Error


class RadioRefusals:
    """Hears a radio's refusals.

    Args:
        address: the radio's, for people.

    Attributes:
        notice: what it said last, "" = nothing.
        counted: how many frames it did not send, by its own word for why.
    """

    def __init__(self, address: object) -> None:
        self._address = address
        self.notice = ""
        self.counted: Counter[str] = Counter()
        self._until_s = 0.0
        self._transmitter_off = False
        self._to_mend = (0.0, "")

    def hold(self, now_s: float) -> bool:
        """Whether to leave the radio alone for now."""
        return now_s < self._until_s

    def explain(self) -> str:
        """Why it is left alone."""
        return self.notice or "the radio says that its share of airtime is spent; it sends again later"

    def fault(self, now_s: float) -> str:
        """What a person has to do about it; "" = nothing."""
        if self.hold(now_s) and self._transmitter_off:
            return self.notice
        return self._to_mend[1] if now_s < self._to_mend[0] else ""

    def take_outcome(self, error: int, name: str, now_s: float) -> None:
        """It says why a packet was not sent.

        Args:
            error: the number of Routing.Error.
            name: its word for that.
            now_s: kit seconds.
        """
        self.counted[name] += 1
        self._transmitter_off = False
        told = REFUSALS.get(name, f"did not send a frame ({name})")
        self.notice = f"the radio at {self._address} {told}"
        if error == DUTY_CYCLE_LIMIT:
            self._until_s = now_s + PAUSE_S
        if name in MENDED_BY_A_PERSON:
            self._to_mend = (now_s + MENDED_AFTER_S, self.notice)

    def take_queue_status(self, result: int, now_s: float) -> None:
        """What it says of the frame that was handed over last."""
        if result not in (DUTY_CYCLE_LIMIT, TRANSMITTER_OFF):
            return
        self._until_s = now_s + PAUSE_S
        self._transmitter_off = result == TRANSMITTER_OFF
        if self._transmitter_off:
            self.notice = f"the transmitter of the radio at {self._address} is off; set its region with its own app"
