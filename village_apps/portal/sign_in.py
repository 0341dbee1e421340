"""Who is signed in as the technician: sessions in memory, and a brake on guessing.

Sessions end with the process; a technician who signs in again after a restart loses nothing. The session's token is the
only thing that protects these pages against another page's requests, so its cookie is `SameSite=Strict`, `HttpOnly`.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass, field

SESSION_S = 1800.0
"""Half an hour; the page shows nothing that changes anything, but it does show what is weak."""

MISSES = 5
"""Wrong passwords from one address before it has to wait."""

MISSES_OF_ALL = 30
"""The same for all addresses together: a guesser on the Wi-Fi can take a new address for every try."""

WAIT_S = 300.0
"""How long a wrong password counts."""

LONGEST_PASSWORD = 200

SHORTEST_PASSWORD = 10
"""Characters of a new password."""


@dataclass
class SignIns:
    """Sessions and recent wrong passwords. Times are the caller's monotonic seconds."""

    _until: dict[str, float] = field(default_factory=dict)
    _must_change: set[str] = field(default_factory=set)
    _misses: deque[tuple[float, str]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def may_try(self, address: str, now_s: float) -> bool:
        """Whether this address may give a password now."""
        with self._lock:
            while self._misses and now_s - self._misses[0][0] > WAIT_S:
                self._misses.popleft()
            own = sum(1 for _, missed in self._misses if missed == address)
            return own < MISSES and len(self._misses) < MISSES_OF_ALL

    def missed(self, address: str, now_s: float) -> None:
        """A wrong password came from there."""
        with self._lock:
            self._misses.append((now_s, address))

    def begin(self, now_s: float, *, must_change: bool) -> str:
        """A new session's token; `must_change` lets it do nothing but set a new password."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._until = {known: until for known, until in self._until.items() if until > now_s}
            self._must_change &= set(self._until)
            self._until[token] = now_s + SESSION_S
            if must_change:
                self._must_change.add(token)
        return token

    def holds(self, token: str, now_s: float) -> bool:
        """Whether somebody is signed in with this token."""
        with self._lock:
            return self._until.get(token, 0.0) > now_s

    def must_change(self, token: str) -> bool:
        """Whether this session has to set a new password first."""
        with self._lock:
            return token in self._must_change

    def end_all(self) -> None:
        """Sign everybody out, as after a change of the password."""
        with self._lock:
            self._until.clear()
            self._must_change.clear()


def why_not_this_password(password: str, again: str) -> str | None:
    """What is wrong with a new password: "short", "long", "different"; None if nothing is."""
    if len(password) < SHORTEST_PASSWORD:
        return "short"
    if len(password) > LONGEST_PASSWORD:
        return "long"
    return None if password == again else "different"
