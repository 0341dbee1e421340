"""Pages for what went wrong, in the reader's language, each with what to do next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from flask import Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError

from kit.disk import is_full
from kit.store.database import suspect
from village_apps.phrases import Phrase, phrase
from village_apps.web.reader import context

if TYPE_CHECKING:
    from flask import Flask

LOG = logging.getLogger("web")

API_PREFIX = "/api/"


class Explained(NamedTuple):
    """What a person is told about an error."""

    title: Phrase
    advice: Phrase


EXPLANATIONS = {
    400: Explained(
        phrase("The kit did not understand this."),
        phrase("Go back, look at what you filled in, and send it again."),
    ),
    403: Explained(
        phrase("This form did not come from the kit's own page."),
        phrase("Open the first page and fill in the form there."),
    ),
    404: Explained(
        phrase("There is no such page here."),
        phrase("Everything the kit has can be reached from the first page."),
    ),
    405: Explained(
        phrase("This page cannot be used in that way."),
        phrase("Open the first page and start from there."),
    ),
    413: Explained(
        phrase("This is too much at once."),
        phrase("Go back, make it shorter, and send it again."),
    ),
    429: Explained(
        phrase("Too many tries."),
        phrase("Wait a few minutes, then try again."),
    ),
    500: Explained(
        phrase("Something went wrong inside the kit."),
        phrase("What you saved before is safe. Try again in a minute. If it happens again, tell the technician."),
    ),
    507: Explained(
        phrase("There is no room left in the kit for this."),
        phrase("What you saved before is safe. Please tell the technician that the disk is full, then try again."),
    ),
}
"""By HTTP status; another 4xx is explained as 400, another 5xx as 500."""


class NoRoom(HTTPException):
    """The disk is full, and what is held back for warnings and messages is used up, too (RFC 4918, 11.5)."""

    code = 507
    description = "the disk is full"


def register(app: Flask) -> None:
    """Let every error of the application be answered with its page."""
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(Exception, _answer_unexpected)


def _answer_unexpected(error: Exception) -> Response:
    if is_full(error):
        LOG.warning("%s %s met a full disk: %s", request.method, request.path, error)
        return _answer(NoRoom())
    LOG.error("%s %s failed", request.method, request.path, exc_info=error)
    suspect(context().home.database, error)
    return _answer(InternalServerError())


def _answer(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # noqa: PLR2004 - a redirect is no error, though werkzeug raises it as one
        return make_response(error.get_response())
    told = EXPLANATIONS.get(status) or EXPLANATIONS[500 if status >= 500 else 400]  # noqa: PLR2004
    if request.path.startswith(API_PREFIX):
        response = jsonify({"error": told.title.msgid, "advice": told.advice.msgid, "status": status})
    else:
        response = make_response(render_template("error.html", status=status, told=told))
    response.status_code = status
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response
