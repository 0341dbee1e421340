"""The frame's few static files, read and compressed once when the process starts.

Their addresses carry a hash of their content, so that a phone keeps them for good and asks again only after an update.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from village_apps.web.cache import Page, make_page

FOLDER = Path(__file__).parent / "static"
SERVED = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
HASH_CHARACTERS = 8


@dataclass(frozen=True)
class StaticFiles:
    """Static files by name."""

    files: dict[str, Page]

    @classmethod
    def read(cls) -> StaticFiles:
        """Read every served file of the folder."""
        return cls({name: make_page((FOLDER / name).read_bytes()) for name in SERVED})

    def url(self, name: str) -> str:
        """Where a page refers to it."""
        return f"/static/{self.files[name].etag[:HASH_CHARACTERS]}/{name}"

    def is_current(self, digest: str, name: str) -> bool:
        """Whether the address is that of the file as it is now, so that it may be kept for good."""
        return self.files[name].etag.startswith(digest) and len(digest) == HASH_CHARACTERS
