"""Builds the Flask application: the frame's own routes, every app's blueprint, and what all requests have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, g, request
from werkzeug.routing import IntegerConverter, Map

from village_apps.phrases import LANGUAGE_NAMES, SOURCE_LANGUAGE, Phrases, direction
from village_apps.web import PHRASES, errors, machine, pages, probes
from village_apps.web.connections import Connections
from village_apps.web.language import ARGUMENT, COOKIE, COOKIE_AGE_S, choose_language
from village_apps.web.moments import Moments
from village_apps.web.pictures import picture
from village_apps.web.reader import EXTENSION, Frame, frame, language, now_ms, say
from village_apps.web.safety import HEADERS, UNSAFE_METHODS, is_from_own_page
from village_apps.web.static_files import SERVED, StaticFiles
from village_apps.web.warnings import standing_warnings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from village_apps.app import AppContext, VillageApp

FORM_BYTES = 64 * 1024
"""The largest form; a page that takes an upload sets `request.max_content_length` itself."""

FORM_FIELDS = 100

ADDED = (*HEADERS.items(), ("Vary", "Accept-Encoding, Accept-Language, Cookie"), ("Cache-Control", "no-cache"))
"""Headers of every answer that does not set them itself."""

LARGEST_NUMBER = 2**63 - 1
"""SQLite's largest whole number."""

LOG = logging.getLogger("web")


class RowNumber(IntegerConverter):
    """A number in an address, for every app: one that no row can have is no page, not an error inside the kit."""

    def __init__(self, url_map: Map, **wanted: Any) -> None:
        super().__init__(url_map, **{"max": LARGEST_NUMBER, **wanted})


def build_app(context: AppContext, apps: Sequence[VillageApp]) -> Flask:
    """See `village_apps.web.create_app`."""
    app = Flask("village_apps.web", root_path=str(Path(__file__).parent), static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=FORM_BYTES,
        MAX_FORM_PARTS=FORM_FIELDS,
        TRAP_HTTP_EXCEPTIONS=False,
    )
    phrases = Phrases.load([PHRASES, *(village_app.phrases for village_app in apps if village_app.phrases is not None)])
    found = Frame(
        context=context,
        apps=tuple(apps),
        phrases=phrases,
        languages=_offered(context, phrases),
        connections=Connections(context.open_database),
        static_files=StaticFiles.read(),
        moments=Moments(context.settings.unit.timezone),
    )
    app.extensions[EXTENSION] = found
    app.url_map.converters["int"] = RowNumber
    _prepare_templates(app, found)
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign,assignment]  # Flask's own way to wrap it
    app.before_request(_begin)
    app.after_request(_end)
    app.add_url_rule("/static/<digest>/<name>", "static_file", _static_file)
    app.register_blueprint(machine.blueprint())
    app.register_blueprint(probes.blueprint())
    errors.register(app)
    for village_app in apps:
        _register(app, context, village_app)
    return app


def _offered(context: AppContext, phrases: Phrases) -> tuple[str, ...]:
    """The village's languages that exist; English if none of them does."""
    return tuple(name for name in context.settings.unit.languages if name in phrases.languages) or (SOURCE_LANGUAGE,)


def _register(app: Flask, context: AppContext, village_app: VillageApp) -> None:
    if village_app.blueprint is None:
        return
    try:
        app.register_blueprint(village_app.blueprint(context))
    except Exception:
        # an app that cannot show its pages must not take the warnings down with it; `kit doctor` and the log say so
        LOG.exception("the pages of app '%s' cannot be shown", village_app.name)


def _prepare_templates(app: Flask, found: Frame) -> None:
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        lambda msgid: found.phrases.translate(language(), msgid),
        lambda one, many, number: found.phrases.translate_number(language(), one, many, number),
        newstyle=True,
    )
    environment.globals.update(
        picture=picture,
        say=say,
        # unlike `_`, whose phrases come from the templates themselves, its result is escaped: for words out of content
        translated=lambda msgid: found.phrases.translate(language(), msgid),
        static_url=found.static_files.url,
        standing_warnings=standing_warnings,
        language_links=_language_links,
        clock_time=found.moments.clock,
        when=lambda at_ms: say(found.moments.when(at_ms, now_ms=now_ms())),
        ago=lambda at_ms: say(found.moments.ago(at_ms, now_ms=now_ms())),
        day=lambda at_ms: found.moments.day(at_ms, language()),
    )
    app.context_processor(_about_the_reader)


def _about_the_reader() -> dict[str, object]:
    name = frame().context.settings.unit.name
    return {"language": language(), "direction": direction(language()), "unit_name": name}


def _language_links() -> list[dict[str, str]]:
    """The same page in every language offered."""
    from urllib.parse import urlencode

    links = []
    for name in frame().languages:
        arguments = {**g.get("page_arguments", {}), ARGUMENT: name}
        path = request.path if request.method in {"GET", "HEAD"} else "/"
        links.append({"code": name, "name": LANGUAGE_NAMES.get(name, name), "href": f"{path}?{urlencode(arguments)}"})
    return links


def _begin() -> None:
    found = frame()
    g.language = choose_language(
        found.languages,
        argument=request.args.get(ARGUMENT),
        cookie=request.cookies.get(COOKIE),
        accept_language=request.headers.get("Accept-Language"),
    )
    if request.method in UNSAFE_METHODS and not is_from_own_page(request.headers.get, request.host):
        abort(403)


def _end(response: Response) -> Response:
    response = pages.finish(response)
    wish = request.args.get(ARGUMENT)
    if wish in frame().languages and wish is not None:
        response.set_cookie(COOKIE, wish, max_age=COOKIE_AGE_S, samesite="Lax", httponly=True)
    return response


def _with_headers(inner: WSGIApplication) -> WSGIApplication:
    """Add to every answer the headers that it does not set itself.

    Outside of Flask, on the plain list: a third of the time of a cached page went into setting them one by one.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            present = {name for name, _ in headers}
            return start_response(status, [*headers, *(item for item in ADDED if item[0] not in present)], *more)

        return inner(environ, start)

    return answer


def _static_file(digest: str, name: str) -> Response:
    files = frame().static_files
    if name not in SERVED:
        abort(404)
    response = pages.page_response(files.files[name], SERVED[name])
    if files.is_current(digest, name):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
