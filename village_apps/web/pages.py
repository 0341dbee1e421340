"""`cached_page`, for views, and how every response leaves: compressed, named, and answered with 304 where it can be."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Response, g, request

from village_apps.web.cache import GZIP_LEVEL, Page
from village_apps.web.reader import context, frame, language

P = ParamSpec("P")

ALERTS_SUBJECT = "alerts"
"""Every page shows the warnings that stand, so every page depends on them."""

USUAL_AGE_S = 60.0
"""In kit time; a page that says "3 min ago" is at most one minute behind."""

LONGEST_ARGUMENT = 200
"""Longer ones are cut before they become part of a cache key."""

SMALLEST_PACKED_BYTES = 400
"""Below this gzip's own bytes eat what it saves."""

PACKABLE = ("text/", "application/json", "application/xml", "application/atom+xml", "image/svg+xml")


def cached_page(
    *subjects: str,
    of: Callable[[], tuple[str, ...]] | None = None,
    max_age_s: float | None = USUAL_AGE_S,
    arguments: tuple[str, ...] = (),
    cookies: tuple[str, ...] = (),
) -> Callable[[Callable[P, str]], Callable[P, Response]]:
    """Decorate a view that returns HTML: it runs once per change of its subjects instead of once per request.

    The view must depend on nothing of the request but what is named here, its path and the reader's language.

    Args:
        subjects: what the page shows (see `kit.store.facts.count_change`); "alerts" is always among them.
        of: further subjects, where they are known only at run time.
        max_age_s: kit seconds after which it is rendered anew all the same; None = never.
        arguments: the query arguments it depends on; others are invisible to it.
        cookies: the cookies it depends on.
    """

    def decorate(view: Callable[P, str]) -> Callable[P, Response]:
        @wraps(view)
        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            wanted = {name: request.args[name][:LONGEST_ARGUMENT] for name in arguments if name in request.args}
            kept = tuple(request.cookies.get(name, "")[:LONGEST_ARGUMENT] for name in cookies)
            g.page_arguments = wanted
            depends_on = (ALERTS_SUBJECT, *subjects, *(of() if of else ()))
            page = frame().cache.get(
                (request.path, language(), tuple(wanted.items()), kept),
                versions=lambda: frame().connections.versions(depends_on),
                now_s=context().clock.monotonic(),
                max_age_s=max_age_s,
                render=lambda: view(*args, **kwargs).encode(),
            )
            return page_response(page)

        return answer

    return decorate


def page_response(page: Page, mimetype: str = "text/html; charset=utf-8") -> Response:
    """Send a rendered page as it is kept; whoever has it already gets 304."""
    packed = accepts_gzip()
    response = Response(page.packed if packed else page.body, content_type=mimetype)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{page.etag}-gz" if packed else page.etag)
    response.make_conditional(request)
    return response


def accepts_gzip() -> bool:
    """Whether the phone unpacks gzip; all do, a captive-portal probe may not."""
    return bool(request.accept_encodings["gzip"] > 0)


def finish(response: Response) -> Response:
    """Compress and name what was rendered for this request alone."""
    if response.direct_passthrough or response.status_code == 304 or "Content-Encoding" in response.headers:  # noqa: PLR2004
        return response
    if not (response.mimetype or "").startswith(PACKABLE):
        return response
    body = response.get_data()
    if len(body) >= SMALLEST_PACKED_BYTES and accepts_gzip():
        response.set_data(gzip.compress(body, GZIP_LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    if request.method in {"GET", "HEAD"} and response.status_code == 200:  # noqa: PLR2004
        response.add_etag()
        response.make_conditional(request)
    return response
