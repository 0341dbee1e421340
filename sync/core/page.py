"""The core's page: every kit, when it was last heard, what it warns of and who has confirmed it; and the same as JSON.

Read only: no form, no cookie, no script, nothing from elsewhere. Each request opens the store for itself, so the page
shows what is committed, and the process may be killed at any time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.health.services import service_states
from sync.core import page_words as words
from sync.core.view import KitState, kit_json, kit_states

if TYPE_CHECKING:
    from flask import Flask, Response

    from sync.core.setup import Core
    from sync.core.store import CoreStore

TEMPLATES = Path(__file__).parent / "templates"

REFRESH_S = 10
"""How often an open page loads itself anew."""

SHOWN = 8
"""Records that need attention, the newest; `kit core records` and `kit core refused` list them all."""

MAIN_LINKS = ("lora", "cellular")
"""Down, these are told of even where nothing is wrong with them."""

LETTERS = 12
"""Messages on the page, the newest; `kit core messages` lists them all."""

PUBLICATIONS = 8
"""Files on the page, the newest; `kit core published` lists them all."""

GZIP_FROM_BYTES = 1000


def make_app(core: Core) -> Flask:
    """The page as a WSGI application."""
    from flask import Flask

    app = Flask("sync.core", root_path=str(TEMPLATES.parent), template_folder=str(TEMPLATES), static_folder=None)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(words=words, style=style, refresh_s=REFRESH_S)
    app.config["headers"] = _headers(style)
    app.add_url_rule("/", "page", lambda: _page(core))
    app.add_url_rule("/healthz", "healthz", lambda: _healthz(core))
    app.add_url_rule("/api/v1/kits", "kits", lambda: _kits(core))
    app.after_request(_finish)
    app.register_error_handler(404, lambda _: _sentence("There is no such page here; the kits are at /.", 404))
    app.register_error_handler(405, lambda _: _sentence("Nothing can be changed here; use kit core … instead.", 405))
    app.register_error_handler(
        KitError, lambda error: _sentence(core.room().problem() or f"The core cannot show its page: {error}", 503)
    )
    return app


def page_facts(
    store: CoreStore, *, name: str, now_ms: int, services: Sequence[Mapping[str, Any]], room: str = ""
) -> dict[str, Any]:
    """What the template shows; `services` as the supervisor tells of them, `room` what is wrong with the disk."""
    states = kit_states(store, now_ms=now_ms)
    active = [alert for state in states for alert in state.active]
    return {
        "name": name,
        "now_ms": now_ms,
        "kits": states,
        "silent": [state for state in states if state.silent(now_ms)],
        "active": active,
        "unconfirmed": [alert for alert in active if not alert.receipts],
        "letters": store.messages(limit=LETTERS),
        "publications": store.publications(limit=PUBLICATIONS),
        "invites": store.open_invites(now_ms=now_ms),
        "counts": store.counts(),
        "undecodable": store.undecodable(limit=SHOWN),
        "refused": store.refused(limit=SHOWN),
        "names": {state.kit.unit: state.kit.name for state in states},
        "problems": [*([room] if room else []), *_problems(store, services)],
        "heard_class": lambda state: _heard_class(state, now_ms),
    }


def _page(core: Core) -> Response:
    from flask import make_response, render_template

    services = service_states(core.home.services_file).services
    with core.open_store() as store:
        facts = page_facts(
            store, name=core.settings.core.name, now_ms=core.now_ms(), services=services, room=core.room().problem()
        )
    return make_response(render_template("core.html", **facts))


def _kits(core: Core) -> Response:
    from flask import jsonify

    now_ms = core.now_ms()
    with core.open_store() as store:
        return jsonify([kit_json(state, now_ms=now_ms) for state in kit_states(store, now_ms=now_ms)])


def _healthz(core: Core) -> Response:
    from flask import jsonify

    now_ms = core.now_ms()
    with core.open_store() as store:
        kits, counts = store.kits(), store.counts()
    heard_ms = max((kit.last_heard.at_ms for kit in kits if kit.last_heard), default=None)
    problem = core.room().problem()
    return jsonify(
        status="full" if problem else "ok",
        problem=problem,
        core=core.identity.unit,
        kits=len(kits),
        records=counts.taken,
        undecodable=counts.undecodable,
        refused=counts.refused,
        heard_s_ago=None if heard_ms is None else round((now_ms - heard_ms) / 1000),
    )


def _problems(store: CoreStore, services: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about the core itself: whoever waits for a warning must know when none can come in."""
    sync = next((each for each in services if each["name"] == "sync"), None)
    if sync is not None and sync["state"] != "running":
        why = f" ({sync['last_error']})" if sync["last_error"] else ""
        return [f"The core's sync service is not running{why}: nothing can come in, what is shown below is old."]
    return [
        f"{words.sentence(words.link(link.name))}: {link.fault or link.explain}."
        for link in store.links()
        # a way that stands by, or that no kit takes, is no problem
        if link.fault or (link.state == "down" and link.name in MAIN_LINKS)
    ]


def _heard_class(state: KitState, now_ms: int) -> str:
    if state.silent(now_ms):
        return "silent"
    return "fresh" if state.kit.last_heard else "new"


def _sentence(text: str, code: int) -> Response:
    from flask import make_response

    response = make_response(text + "\n", code)
    response.mimetype = "text/plain"
    return response


def _headers(style: str) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }


def _finish(response: Response) -> Response:
    from flask import current_app, request

    response.headers.update(current_app.config["headers"])
    body = response.get_data()
    if len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(body, 6, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
