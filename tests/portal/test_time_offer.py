"""A phone tells a kit without a clock the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from kit.clock import EARLIEST_BELIEVABLE_S, ManualClock
from kit.collect.timekeeper import Timekeeper
from kit.identity import set_technician_password
from kit.run.schema import unit_migrations
from kit.unit_clock import UnitClock
from village_apps.app import find_apps
from village_apps.web import create_app
from village_apps.web.trial import TrialKit, trial_kit

TRUE = EARLIEST_BELIEVABLE_S + 100 * 86_400
PASSWORD = "a long enough password"


class Waiting(ManualClock):
    """Real waiting, because the keeper of the time is another thread."""

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(seconds / 20)
        self.advance(seconds)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TrialKit]:
    with trial_kit(tmp_path / "home", find_apps(), unit_migrations()) as made:
        machine = Waiting(at_s=20.0, trusted=False, up_s=20.0)
        clock = UnitClock(machine, made.home.run / "time.json")
        context = replace(made.context, clock=clock)
        told = replace(made, context=context, app=create_app(context, find_apps()))
        try:
            yield told
        finally:
            told.frame.connections.close()


@contextmanager
def keeping(kit: TrialKit) -> Iterator[None]:
    stop = threading.Event()

    def keep() -> None:
        with kit.context.open_database() as database:
            keeper = Timekeeper(database, kit.context.clock)
            while not stop.wait(0.01):
                keeper.step()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _tap(phone: FlaskClient, *, address: str, **fields: str) -> str:
    answer = phone.post("/time", data=fields, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 303
    return phone.get(answer.headers["Location"]).text


def test_the_first_page_asks_and_two_phones_set_the_clock(kit: TrialKit) -> None:
    phone = kit.app.test_client()
    page = phone.get("/")
    assert "does not know what time it is" in page.text
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    with keeping(kit):
        assert "second phone" in _tap(phone, address="10.0.0.2", ms=str(int(TRUE * 1000)))
        assert "The kit knows the time now" in _tap(phone, address="10.0.0.3", ms=str(int(TRUE * 1000) + 3000))
    assert kit.context.clock.trusted
    assert abs(kit.context.clock.now() - TRUE) < 60
    page = phone.get("/")
    assert "does not know what time it is" not in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]


def test_without_a_script_the_time_is_typed_in_the_villages_zone(kit: TrialKit) -> None:
    phone = kit.app.test_client()
    with keeping(kit):
        _tap(phone, address="10.0.0.2", ms="", at="2026-04-11T12:00")
    assert abs(kit.context.clock.now() - 1_775_898_000) < 60  # 09:00 UTC; the trial's village is in Kenya


@pytest.mark.parametrize("fields", [{"ms": "soon"}, {"at": "yesterday"}, {"ms": "86400000"}, {}, {"ms": "9" * 39}])
def test_a_time_that_cannot_be_is_refused_in_words(kit: TrialKit, fields: dict[str, str]) -> None:
    assert "not a time the kit can believe" in _tap(kit.app.test_client(), address="10.0.0.2", **fields)


def test_a_kit_that_knows_the_time_is_not_told_by_villagers(kit: TrialKit) -> None:
    with keeping(kit):
        _tap(kit.app.test_client(), address="10.0.0.2", ms=str(int(TRUE * 1000)))
        _tap(kit.app.test_client(), address="10.0.0.3", ms=str(int(TRUE * 1000)))
        _tap(kit.app.test_client(), address="10.0.0.4", ms=str(int(TRUE * 1000) + 7_200_000))
        _tap(kit.app.test_client(), address="10.0.0.5", ms=str(int(TRUE * 1000) + 7_200_000))
    assert abs(kit.context.clock.now() - TRUE) < 120


def test_the_technician_sets_the_clock_from_a_phone(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    client = kit.app.test_client()
    assert client.post("/technician/time", data={"ms": str(int(TRUE * 1000))}).status_code == 403
    client.post("/technician/sign-in", data={"password": PASSWORD})
    with keeping(kit):
        answer = client.post("/technician/time", data={"ms": str(int(TRUE * 1000))})
        page = client.get(answer.headers["Location"]).text
    assert "The clock is set." in page
    assert "the technician" in page
    assert kit.context.clock.trusted


def test_a_time_years_ahead_is_set_only_when_the_technician_says_that_it_is_meant(kit: TrialKit) -> None:
    set_technician_password(kit.home, PASSWORD)
    client = kit.app.test_client()
    client.post("/technician/sign-in", data={"password": PASSWORD})
    ahead = str(int((TRUE + 10 * 365.25 * 86_400) * 1000))
    with keeping(kit):
        client.post("/technician/time", data={"ms": str(int(TRUE * 1000))})
        page = client.get(client.post("/technician/time", data={"ms": ahead}).headers["Location"]).text
        assert "more than three years after the last time the kit knew" in page
        assert abs(kit.context.clock.now() - TRUE) < 120
        page = client.get(client.post("/technician/time", data={"ms": ahead, "sure": "yes"}).headers["Location"]).text
    assert "The clock is set." in page
    assert kit.context.clock.now() > TRUE + 9 * 365.25 * 86_400
