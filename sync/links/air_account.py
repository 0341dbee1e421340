"""The airtime a radio has used in the last hour: what a frame costs, whether it may go, and a ledger that survives.

A radio forgets its own count when it restarts, and so would this process; the law does not. With a ledger file the
account outlives the process and, conservatively, a reboot of a unit that does not know how long it was off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.clock import Clock
from sync.links.port import LinkError
from sync.protocol.airtime import PRESETS, RESERVED_SHARE, WINDOW_S, AirtimeBudget, duty_cycle, frame_airtime_ms
from sync.protocol.frames import LORA_FRAME_BYTES

DIRECT_OVERHEAD_BYTES = 12
"""Firmware 2.5 and later encrypts a direct message for its receiver alone (AES-CCM tag and nonce)."""

SIGNATURE_BYTES, LARGEST_SIGNED_BYTES = 66, 165
"""Firmware 2.8 signs broadcasts that are short enough to hold a signature beside them."""

SIGNING_FIRMWARE = (2, 8)

SAVE_EVERY_S = 30.0
"""Kit seconds between two writes of the ledger: a crash forgets at most that much airtime, and an SD card lives."""

UNLIMITED = 1.0


@dataclass
class AirAccount:
    """Spends airtime and remembers it. All calls come under the link's lock.

    Attributes:
        region: sets the duty cycle.
        preset: sets the cost.
        ledger: a file that keeps the account over restarts; None = only as long as the object lives.
        firmware: the radio's version, once known; decides about signatures.
        hop_limit: how often other radios may repeat what this one sends.

    Raises:
        LinkError: there is no such preset.
    """

    region: str
    preset: str
    clock: Clock
    ledger: Path | None = None
    firmware: str = ""
    hop_limit: int = 0
    _saved_s: float = 0.0
    _hops_heard: int | None = None
    _hops_heard_s: float = 0.0

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise LinkError(
                f'"{self.preset}" is not a modem preset whose airtime is known; '
                f"[links.lora] preset is one of {', '.join(PRESETS)}"
            )
        self._share = duty_cycle(self.region)
        self._budget = AirtimeBudget(self._share)
        self._village = AirtimeBudget(UNLIMITED)
        self._restore()

    def airtime_ms(self, frame_bytes: int, *, direct: bool) -> float:
        """What a frame costs for the first hop, in ms."""
        if direct:
            return frame_airtime_ms(frame_bytes + DIRECT_OVERHEAD_BYTES, self.preset)
        signed = _version(self.firmware) >= SIGNING_FIRMWARE and frame_bytes <= LARGEST_SIGNED_BYTES
        return frame_airtime_ms(frame_bytes + (SIGNATURE_BYTES if signed else 0), self.preset)

    @property
    def hops(self) -> int:
        """How often a frame of ours is repeated: as far as was heard in the last hour, else as often as it may be."""
        fresh = self.clock.monotonic() - self._hops_heard_s <= WINDOW_S
        return self.hop_limit if self._hops_heard is None or not fresh else min(self._hops_heard, self.hop_limit)

    def heard_hops(self, hops: int) -> None:
        """A frame of the other side came over so many hops: ours take the same way."""
        now_s = self.clock.monotonic()
        if self._hops_heard is None or hops >= self._hops_heard or now_s - self._hops_heard_s > WINDOW_S:
            self._hops_heard, self._hops_heard_s = hops, now_s

    def spend(self, airtime_ms: float, *, priority: int) -> bool:
        """Account for a frame; False, and nothing spent, if the hour does not allow it for that priority.

        Two budgets count. The law's is for each transmitter, so a frame costs it once, whoever repeats it. The
        village's air is one for all: every hop spends it again, and an hour has only one hour of it. An alert does not
        ask it.
        """
        now_s = self.clock.monotonic()
        in_all_ms = airtime_ms * (1 + self.hops)
        if priority > 0 and in_all_ms > self._village.left_ms(now_s, priority=0):
            return False
        if not self._budget.spend(airtime_ms, priority=priority, now=now_s):
            return False
        self._village.spend(min(in_all_ms, self._village.left_ms(now_s, priority=0)), priority=0, now=now_s)
        if now_s - self._saved_s >= SAVE_EVERY_S:
            self.save()
        return True

    def has_air(self) -> bool:
        """Whether an ordinary frame of full size may go now."""
        return self._ordinary_left_ms() >= self.airtime_ms(LORA_FRAME_BYTES, direct=True)

    def _ordinary_left_ms(self) -> float:
        now_s = self.clock.monotonic()
        village_ms = self._village.left_ms(now_s, priority=0) / (1 + self.hops)
        return min(self._budget.left_ms(now_s, priority=1), village_ms)

    def today(self, frame_bytes: int, *, hours: float) -> dict[str, int]:
        """What ordinary traffic may still send in so many hours: `{frames_now, frames, bytes, alert_frames}`.

        `alert_frames` are those of each hour that are kept for alerts.
        """
        frame_ms = self.airtime_ms(frame_bytes, direct=False)
        hourly_ms = min(self._share * (1.0 - RESERVED_SHARE if self._share < UNLIMITED else 1.0), 1.0 / (1 + self.hops))
        left_ms = self._ordinary_left_ms()
        frames = int(max(left_ms, hourly_ms * WINDOW_S * 1000.0 * hours) / frame_ms)
        kept_ms = self._share * RESERVED_SHARE * WINDOW_S * 1000.0 if self._share < UNLIMITED else 0.0
        return {
            "frames_now": int(left_ms / frame_ms),
            "frames": frames,
            "bytes": frames * frame_bytes,
            "alert_frames": int(kept_ms / frame_ms),
        }

    def left_ms(self) -> int | None:
        """What alerts may still use in this hour, the reserve included; None = the region sets no limit."""
        if self._share >= UNLIMITED:
            return None
        return int(self._budget.left_ms(self.clock.monotonic(), priority=0))

    def free_percent(self) -> int | None:
        """The same as a share of what the hour allows, 0 to 100; None = no limit."""
        left_ms = self.left_ms()
        return None if left_ms is None else round(left_ms / (self._share * 36_000.0))

    def explain(self) -> str:
        """For example "34 s of the 360 s of air allowed per hour in EU_868 are used"."""
        limit_ms = self._share * 3_600_000.0
        used_s = (limit_ms - self._budget.left_ms(self.clock.monotonic(), priority=0)) / 1000.0
        if self._share >= UNLIMITED:
            return f"{used_s:.0f} s of air used in the last hour, {self.region} sets no limit"
        return f"{used_s:.0f} s of the {limit_ms / 1000.0:.0f} s of air allowed per hour in {self.region} are used"

    def save(self) -> None:
        """Write the ledger, whole or not at all. A full disk costs the memory, not the link."""
        if self.ledger is None:
            return
        self._saved_s = now_s = self.clock.monotonic()
        told = {
            "boot": self.clock.boot,
            "monotonic_s": now_s,
            "wall_s": self.clock.now() if self.clock.trusted else None,
            "spent": [[now_s - at_s, spent_ms] for at_s, spent_ms in self._budget.entries()],
            "village": [[now_s - at_s, spent_ms] for at_s, spent_ms in self._village.entries()],
        }
        temporary = self.ledger.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(told))
            temporary.rename(self.ledger)
        except OSError:
            return

    def _restore(self) -> None:
        if self.ledger is None:
            return
        try:
            told = json.loads(self.ledger.read_text())
            since_s = self._elapsed(told)
            now_s = self.clock.monotonic() - since_s
            spent = [(now_s - float(age_s), float(spent_ms)) for age_s, spent_ms in told["spent"]]
            village = [(now_s - float(age_s), float(spent_ms)) for age_s, spent_ms in told.get("village", [])]
        except (OSError, ValueError, KeyError, TypeError):
            return
        self._budget.restore(spent)
        self._village.restore(village)

    def _elapsed(self, told: dict[str, Any]) -> float:
        """Seconds since the ledger was written; if nobody knows, none: then the air counts as just used."""
        since_s = self.clock.monotonic() - float(told["monotonic_s"])
        if told["boot"] == self.clock.boot and since_s >= 0.0:
            return since_s
        if self.clock.trusted and told["wall_s"] is not None:
            return max(self.clock.now() - float(told["wall_s"]), 0.0)
        return 0.0


def _version(firmware: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in firmware.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
