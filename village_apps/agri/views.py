"""The page `/agri/`: choose a crop, choose its stage, read what the night does to it."""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template, request

from kit.health.content_view import RECEIVED_FACT
from kit.health.received_files import ReceivedFile, received_files
from kit.model.forecast import FROST_FACT, NightForecast
from kit.store.facts import get_fact
from village_apps.agri.advice import Verdict, degrees, judge_night, out_of_ten, steps_left
from village_apps.agri.city_advice import KIND, Advice, advice_here
from village_apps.agri.crops import CROPS, Crop, Stage, find_crop
from village_apps.app import AppContext
from village_apps.web.doubts import doubt_about
from village_apps.web.opened import note_opened
from village_apps.web.pages import cached_page
from village_apps.web.reader import context, database, now_ms

COOKIE = "field"
"""Remembers crop and stage on this phone, as `apple.full-bloom`."""

COOKIE_AGE_S = 120 * 24 * 3600
"""About one season."""


def make_blueprint(context: AppContext) -> Blueprint:
    """The routes of the app."""
    del context
    routes = Blueprint("agri", __name__, url_prefix="/agri", template_folder="templates")
    routes.add_url_rule("/", "field", _field)
    routes.add_url_rule("/advice/<name>", "advice", _advice)
    return routes


def _field() -> Response:
    response = _page()
    crop, stage = _chosen()
    if "crop" in request.args and crop is not None and stage is not None:
        response.set_cookie(
            COOKIE, f"{crop.key}.{stage.key}", max_age=COOKIE_AGE_S, path="/agri", samesite="Lax", httponly=True
        )
    return response


def _advice(name: str) -> Response:
    page = _advice_page(name)
    note_opened(KIND, name, lambda: _received(name))
    return page


def _received(name: str) -> ReceivedFile | None:
    here = received_files(database().connection)
    return next((file for file in here if (file.kind, file.name) == (KIND, name)), None)


@cached_page(RECEIVED_FACT)
def _advice_page(name: str) -> str:
    found = next((each for each in _advice_here() if each.name == name and each.text is not None), None)
    if found is None:
        abort(404)
    return render_template("agri/advice.html", advice=found, now_ms=now_ms())


def _advice_here() -> list[Advice]:
    return advice_here(database().connection, context().home.content)


@cached_page(FROST_FACT, RECEIVED_FACT, arguments=("crop", "stage"), cookies=(COOKIE,))
def _page() -> str:
    crop, stage = _chosen()
    forecast = _coming_night()
    verdict: Verdict | None = None
    if crop is not None and stage is not None and forecast is not None:
        verdict = judge_night(forecast, crop, stage)
    return render_template(
        "agri/field.html",
        crops=CROPS,
        crop=crop,
        stage=stage,
        forecast=forecast,
        verdict=verdict,
        steps=steps_left(verdict.steps, now_ms()) if verdict else (),
        degrees=degrees,
        out_of_ten=out_of_ten,
        now_ms=now_ms(),
        city_advice=_advice_here(),
        doubt=None
        if forecast is None
        else doubt_about(database().connection, forecast.device, "temperature", now_ms=now_ms()),
    )


def _chosen() -> tuple[Crop | None, Stage | None]:
    """What the address says, else what this phone chose last; a crop with one stage needs no choosing."""
    if "crop" in request.args:
        crop_key, stage_key = request.args["crop"], request.args.get("stage", "")
    else:
        crop_key, _, stage_key = request.cookies.get(COOKIE, "").partition(".")
    crop = find_crop(crop_key)
    if crop is None:
        return None, None
    return crop, crop.stages[0] if len(crop.stages) == 1 else crop.stage(stage_key)


def _coming_night() -> NightForecast | None:
    """The forecast, unless the night it is for is over."""
    found = get_fact(database().connection, FROST_FACT)
    if found is None:
        return None
    forecast = NightForecast.from_fact(found[1])
    return forecast if forecast.sunrise_ms > now_ms() else None
