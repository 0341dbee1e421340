"""`/files/`: what the city has sent for everybody, to look at on one's own phone.

Invariant: nothing of it runs as a page of the kit. A file leaves as an attachment with a type from the list below or
none, and its name is looked up among those that were received, never in a folder.
"""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import quote

from flask import Blueprint, Response, abort, make_response, render_template

from kit.health.content_view import RECEIVED_FACT
from kit.health.received_files import ReceivedFile, received_files
from kit.health.words import size_words
from village_apps.app import Card
from village_apps.web.opened import note_opened
from village_apps.web.pages import cached_page
from village_apps.web.reader import context, database, now_ms
from village_apps.web.reader import gettext as _

KINDS = ("file", "advice")
"""Lessons are shown by their app."""

NEW_FOR_MS = 7 * 86_400_000

TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".epub": "application/epub+zip",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".md": "text/plain; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".zip": "application/zip",
}
"""By the ending of the name; what is not here leaves as bytes that a browser only saves."""

SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"


def add_file_routes(routes: Blueprint) -> None:
    """Add `/files/…` to the portal's blueprint."""
    routes.add_url_rule("/files/", "files", _files)
    routes.add_url_rule("/files/<kind>/<name>", "file", _file)


def files_for_all() -> list[ReceivedFile]:
    """Those to be downloaded, the newest first."""
    return [file for file in received_files(database().connection) if file.kind in KINDS]


def files_card() -> Card | None:
    """The way to them on the first page, once there are any."""
    files = files_for_all()
    if not files:
        return None
    new = now_ms() - files[0].at_ms < NEW_FOR_MS
    text = _("New: %(name)s", name=files[0].name) if new else _("To keep on your phone.")
    return Card(_("Files from the city"), text, "/files/", "basket", urgency=1 if new else 2)


@cached_page(RECEIVED_FACT)
def _files() -> str:
    return render_template(
        "portal/files.html", files=files_for_all(), size_words=size_words, now_ms=now_ms(), new_for_ms=NEW_FOR_MS
    )


def _file(kind: str, name: str) -> Response:
    known = next((file for file in files_for_all() if (file.kind, file.name) == (kind, name)), None)
    if known is None:
        abort(404)
    try:
        content = (context().home.content / known.kind / known.name).read_bytes()
    except OSError:
        abort(404)
    note_opened(kind, name, lambda: known)
    response = make_response(content)
    response.headers["Content-Type"] = TYPES.get(PurePath(known.name).suffix.lower(), "application/octet-stream")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(known.name, safe='')}"
    response.headers["Content-Security-Policy"] = SANDBOX
    return response
