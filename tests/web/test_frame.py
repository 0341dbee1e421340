from __future__ import annotations

import errno
import gzip
import json
import os
import re
import socket
import threading
import urllib.request
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from kit.errors import KitError
from kit.settings import WebSettings
from village_apps.web import serve
from village_apps.web.pictures import picture, symbols
from village_apps.web.probes import PROBES
from village_apps.web.trial import TrialKit


@pytest.fixture
def phone(kit: TrialKit) -> FlaskClient:
    return kit.app.test_client()


@pytest.mark.parametrize("path", ["/", "/learn/", "/nothing", "/healthz", "/static/x/style.css"])
def test_every_answer_forbids_scripts_and_other_origins(phone: FlaskClient, path: str) -> None:
    policy = phone.get(path).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "http" not in policy


def test_the_language_is_chosen_by_a_link_and_remembered(phone: FlaskClient) -> None:
    assert "Ukurasa wa kwanza" in phone.get("/learn/?lang=sw").text
    assert "Ukurasa wa kwanza" in phone.get("/agri/").text
    assert "First page" in phone.get("/agri/?lang=en").text


def test_the_language_links_keep_what_was_asked_for(phone: FlaskClient) -> None:
    page = phone.get("/agri/?crop=apple&stage=full-bloom&evil=1").text
    assert "/agri/?crop=apple&amp;stage=full-bloom&amp;lang=sw" in page
    assert "evil" not in page


def test_a_page_read_again_costs_no_rendering_and_no_bytes(kit: TrialKit, phone: FlaskClient) -> None:
    first = phone.get("/learn/")
    rendered = kit.frame.cache.rendered
    again = phone.get("/learn/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert kit.frame.cache.rendered == rendered


def test_pages_are_packed_for_phones_that_unpack(phone: FlaskClient) -> None:
    plain = phone.get("/learn/frost/")
    packed = phone.get("/learn/frost/", headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_static_files_are_kept_for_good_under_their_own_address(kit: TrialKit, phone: FlaskClient) -> None:
    url = kit.frame.static_files.url("style.css")
    assert "immutable" in phone.get(url).headers["Cache-Control"]
    assert "immutable" not in phone.get("/static/00000000/style.css").headers["Cache-Control"]
    assert phone.get("/static/00000000/server.py").status_code == 404


@pytest.mark.parametrize("path", PROBES)
def test_a_captive_portal_probe_is_led_to_the_first_page(phone: FlaskClient, path: str) -> None:
    answer = phone.get(path, headers={"Host": "connectivitycheck.gstatic.com"})
    assert (answer.status_code, answer.location) == (302, "/")


def test_a_missing_page_says_where_everything_is_in_the_readers_language(phone: FlaskClient) -> None:
    answer = phone.get("/no/such/page", headers={"Accept-Language": "sw"})
    assert answer.status_code == 404
    assert "Hakuna ukurasa kama huo hapa." in answer.text


def test_a_form_that_is_too_large_is_refused_with_advice(phone: FlaskClient) -> None:
    answer = phone.post("/alerts/x/seen", data={"name": "x" * 100_000})
    assert answer.status_code == 413
    assert "make it shorter" in answer.text


def test_a_failure_says_what_to_do_and_shows_no_inside(kit: TrialKit, caplog: pytest.LogCaptureFixture) -> None:
    @kit.app.get("/broken")
    def _() -> str:
        raise RuntimeError("secret detail")

    answer = kit.app.test_client().get("/broken")
    assert answer.status_code == 500
    assert "Try again in a minute" in answer.text
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_a_full_disk_is_said_to_be_one(kit: TrialKit) -> None:
    @kit.app.get("/full")
    def _() -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    answer = kit.app.test_client().get("/full?lang=sw")
    assert answer.status_code == 507
    assert "mwambie fundi kwamba diski imejaa" in answer.text


def test_every_picture_that_a_template_names_exists(kit: TrialKit) -> None:
    named: set[str] = set()
    for loader in [kit.app.jinja_loader, *(blueprint.jinja_loader for blueprint in kit.app.blueprints.values())]:
        for name in loader.list_templates() if loader else ():
            source, _, _ = loader.get_source(kit.app.jinja_env, name) if loader else ("", None, None)
            named |= set(re.findall(r'picture\("([\w-]+)"', source))
    assert named <= set(symbols())
    assert "<script" not in picture("no such picture")


def test_health_is_told_as_json(phone: FlaskClient) -> None:
    told = phone.get("/healthz").json
    assert told is not None
    assert (told["ok"], told["time"]) == (True, "2016-04-12T16:00:00Z")


def test_health_is_bad_when_the_store_is_gone(kit: TrialKit) -> None:
    kit.home.database.rename(kit.home.path / "elsewhere.db")
    answer = kit.app.test_client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert "cannot be" in answer.json["problem"]


def test_a_port_in_use_is_told_with_the_setting_to_change(kit: TrialKit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = replace(kit.context.settings, web=WebSettings(listen=listen))
        with pytest.raises(KitError, match=r"\[web\] listen = .*another program already listens there"):
            serve(kit.app, settings, threading.Event())


def test_the_server_serves_and_stops(kit: TrialKit) -> None:
    with kit.served() as address:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
            assert json.load(answer)["ok"]
        port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_eight_slow_phones_do_not_keep_others_waiting(kit: TrialKit) -> None:
    with kit.served() as address:
        port = int(address.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        try:
            for phone in slow:
                phone.sendall(b"POST /alerts/x/seen HTTP/1.1\r\nHost: kit\r\nContent-Length: 5000\r\n\r\nname=")
            with urllib.request.urlopen(f"{address}/", timeout=5) as answer:
                assert answer.status == 200
        finally:
            for phone in slow:
                phone.close()
