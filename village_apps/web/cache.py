"""Pages that many read are rendered once per change, not once per request.

A page is kept with the versions that its subjects had *before* it was rendered, so that a change during the rendering
makes it old at once. While one thread renders, the others wait for that rendering instead of doing the same work: a
warning that wakes a village brings every phone at the same moment.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

PAGES = 256
"""How many pages are kept, the least recently read dropped first; at some 20 kB each about 5 MB."""

GZIP_LEVEL = 6
"""Pages are small; beyond this the time rises and the size does not fall."""


@dataclass(frozen=True)
class Page:
    """A rendered page, ready to send."""

    body: bytes
    packed: bytes
    etag: str
    versions: tuple[int, ...]
    rendered_at_s: float


def make_page(body: bytes, *, versions: tuple[int, ...] = (), rendered_at_s: float = 0.0) -> Page:
    """Compress and name a body. `mtime=0` makes equal bodies equal when packed."""
    return Page(
        body=body,
        packed=gzip.compress(body, GZIP_LEVEL, mtime=0),
        etag=hashlib.sha256(body).hexdigest()[:20],
        versions=versions,
        rendered_at_s=rendered_at_s,
    )


class PageCache:
    """Rendered pages by key."""

    def __init__(self, limit: int = PAGES) -> None:
        self._limit = limit
        self._pages: OrderedDict[Hashable, Page] = OrderedDict()
        self._rendering: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self.rendered = 0

    def get(
        self,
        key: Hashable,
        *,
        versions: Callable[[], tuple[int, ...]],
        now_s: float,
        max_age_s: float | None,
        render: Callable[[], bytes],
    ) -> Page:
        """The page of that key, rendered anew if a subject changed or it is too old.

        Args:
            key: what the page depends on beside its subjects: path, language, arguments.
            versions: reads the versions of its subjects.
            now_s: kit time, monotonic.
            max_age_s: for pages that say how long ago something was; None = only a change makes it old.
            render: makes the body; an exception goes through and keeps nothing.
        """
        page = self._fresh(key, versions(), now_s, max_age_s)
        if page is not None:
            return page
        with self._lock:
            turn = self._rendering.setdefault(key, threading.Lock())
        with turn:
            try:
                seen = versions()
                page = self._fresh(key, seen, now_s, max_age_s)
                if page is None:
                    page = make_page(render(), versions=seen, rendered_at_s=now_s)
                    self._keep(key, page)
            finally:
                with self._lock:
                    self._rendering.pop(key, None)
        return page

    def forget(self) -> None:
        """Drop every page, for a benchmark of rendering."""
        with self._lock:
            self._pages.clear()

    def _fresh(self, key: Hashable, versions: tuple[int, ...], now_s: float, max_age_s: float | None) -> Page | None:
        with self._lock:
            page = self._pages.get(key)
            if page is None or page.versions != versions:
                return None
            # the clock of another thread may have been read a moment earlier, so an age can be slightly negative
            if max_age_s is not None and now_s - page.rendered_at_s > max_age_s:
                return None
            self._pages.move_to_end(key)
            return page

    def _keep(self, key: Hashable, page: Page) -> None:
        with self._lock:
            self._pages[key] = page
            self._pages.move_to_end(key)
            self.rendered += 1
            while len(self._pages) > self._limit:
                self._pages.popitem(last=False)
