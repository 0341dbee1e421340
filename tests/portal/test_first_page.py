from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from kit.alerts.lifecycle import Alerts
from kit.model.alert import Alert, AlertText, Area, Severity, to_record_body
from kit.store.records import SqliteRecordStore
from sync.protocol.records import Priority, Record, RecordId
from village_apps.app import AppContext, Card, VillageApp
from village_apps.web import create_app
from village_apps.web.trial import HOUR_MS, TrialKit, frosty_night


def raise_warning(kit: TrialKit, identifier: str = "frost-1") -> None:
    texts = (
        AlertText(
            language="en", event="Frost", headline="Frost tonight", description="Down to −2 °C.", instruction="Cover."
        ),
        AlertText(language="sw", event="Jalidi", headline="Jalidi usiku huu", instruction="Funika."),
    )
    with kit.store() as database:
        Alerts(database, kit.clock, sender="kit@village-kit", area="ol-kalou").raise_alert(
            Alert(
                identifier=identifier,
                sender="kit@village-kit",
                sent_ms=kit.now_ms,
                event="frost",
                severity=Severity.SEVERE,
                onset_ms=kit.now_ms + 4 * HOUR_MS,
                expires_ms=kit.now_ms + 12 * HOUR_MS,
                area=Area("ol-kalou"),
                infos=texts,
            )
        )


def records(kit: TrialKit, kind: str) -> int:
    with kit.store() as database:
        return int(database.connection.execute("SELECT COUNT(*) FROM records WHERE kind = ?", (kind,)).fetchone()[0])


def test_the_first_page_shows_every_app(kit: TrialKit) -> None:
    kit.put_forecast(frosty_night(kit.now_ms))
    page = kit.app.test_client().get("/").text
    assert 'href="/agri/"' in page
    assert 'href="/learn/"' in page
    assert 'href="/frost/"' in page


def test_without_a_warning_no_page_looks_like_one(kit: TrialKit) -> None:
    assert 'class="warning' not in kit.app.test_client().get("/").text


def test_a_warning_appears_at_once_and_says_that_nobody_has_confirmed_it(kit: TrialKit) -> None:
    client = kit.app.test_client()
    client.get("/")
    raise_warning(kit)
    page = client.get("/").text
    assert "Frost tonight" in page
    assert "Nobody has confirmed this yet." in page
    assert "tonight at 23:00" in page


def test_the_warning_is_on_every_page(kit: TrialKit) -> None:
    raise_warning(kit)
    for path in ("/learn/", "/agri/", "/learn/frost/", "/learn/frost/quiz"):
        assert "Nobody has confirmed this yet." in kit.app.test_client().get(path).text


def test_a_warning_of_the_city_s_says_whose_it_is_and_its_receipt_goes_to_the_core(kit: TrialKit) -> None:
    alert = Alert(
        identifier="core-city-1",
        sender="core-city@village-kit",
        sent_ms=kit.now_ms,
        event="storm",
        severity=Severity.SEVERE,
        expires_ms=kit.now_ms + 12 * HOUR_MS,
        area=Area("the valley"),
        infos=(AlertText(language="en", event="storm", headline="Storm <b>tonight</b>", description="Gusts."),),
    )
    record = Record(
        id=RecordId("core-city", 3, 1),
        kind="alert",
        priority=Priority.DISTRESS,
        created_ms=kit.now_ms,
        addressee="*",
        body=to_record_body(alert, texts=True),
    )
    client = kit.app.test_client()
    assert "The city warns of this." not in client.get("/").text
    with kit.store() as database:
        SqliteRecordStore(database).take([record], peer="core-city", link="lora", at_ms=kit.now_ms)
    page = client.get("/").text
    assert "The city warns of this." in page
    assert "Storm &lt;b&gt;tonight&lt;/b&gt;" in page
    assert "core-city@village-kit" in client.get("/alerts.atom").text
    client.post("/alerts/core-city-1/seen", data={"name": "Asha"})
    assert records(kit, "receipt") == 1


def test_a_warning_is_read_in_swahili(kit: TrialKit) -> None:
    raise_warning(kit)
    page = kit.app.test_client().get("/", headers={"Accept-Language": "sw-KE"}).text
    assert "Jalidi usiku huu" in page
    assert "Bado hakuna aliyethibitisha" in page
    assert '<html lang="sw" dir="ltr">' in page


def test_i_have_seen_this_is_kept_shown_to_all_and_sent_to_the_city(kit: TrialKit) -> None:
    raise_warning(kit)
    amina, neighbour = kit.app.test_client(), kit.app.test_client()
    sent = amina.post("/alerts/frost-1/seen", data={"name": "Amina"})
    assert (sent.status_code, sent.location) == (303, "/?seen=frost-1")
    assert "Thank you, Amina." in amina.get(sent.location).text
    assert "Seen by one person: Amina at 19:00" in neighbour.get("/").text
    assert records(kit, "receipt") == 1


def test_the_second_person_is_counted_too(kit: TrialKit) -> None:
    raise_warning(kit)
    for name in ("Amina", "Juma"):
        kit.app.test_client().post("/alerts/frost-1/seen", data={"name": name})
    assert "Seen by 2 people – first Amina at 19:00" in kit.app.test_client().get("/").text


def test_a_double_tap_is_one_receipt(kit: TrialKit) -> None:
    raise_warning(kit)
    client = kit.app.test_client()
    for _ in range(2):
        client.post("/alerts/frost-1/seen", data={"name": "Amina"})
    assert records(kit, "receipt") == 1


def test_without_a_name_the_page_asks_for_it_and_nothing_is_kept(kit: TrialKit) -> None:
    raise_warning(kit)
    answer = kit.app.test_client().post("/alerts/frost-1/seen", data={"name": "  "})
    assert answer.status_code == 422
    assert "Please write your name" in answer.text
    assert "Nobody has confirmed this yet." in answer.text
    assert records(kit, "receipt") == 0


def test_the_phone_remembers_the_name(kit: TrialKit) -> None:
    raise_warning(kit)
    client = kit.app.test_client()
    client.post("/alerts/frost-1/seen", data={"name": "Chloé सीता"})
    raise_warning(kit, "frost-2")
    assert 'value="Chloé सीता"' in client.get("/").text
    assert "Chloé" not in kit.app.test_client().get("/agri/").text


def test_it_works_in_a_window_that_keeps_no_cookies(kit: TrialKit) -> None:
    raise_warning(kit)
    client = kit.app.test_client(use_cookies=False)
    sent = client.post("/alerts/frost-1/seen", data={"name": "Amina"}, headers={"Origin": "http://localhost"})
    assert "Thank you." in client.get(sent.location).text


def test_a_name_full_of_markup_is_shown_as_text(kit: TrialKit) -> None:
    raise_warning(kit)
    kit.app.test_client().post("/alerts/frost-1/seen", data={"name": "<b>Eve</b><script>"})
    page = kit.app.test_client().get("/").text
    assert "<b>Eve" not in page
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page


def test_another_sites_form_confirms_nothing(kit: TrialKit) -> None:
    raise_warning(kit)
    answer = kit.app.test_client().post(
        "/alerts/frost-1/seen", data={"name": "Amina"}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403
    assert "Open the first page" in answer.text
    assert records(kit, "receipt") == 0


def test_a_warning_that_does_not_exist_cannot_be_confirmed(kit: TrialKit) -> None:
    assert kit.app.test_client().post("/alerts/none/seen", data={"name": "Amina"}).status_code == 404


def test_a_warning_leaves_the_page_when_its_time_is_over(kit: TrialKit) -> None:
    raise_warning(kit)
    client = kit.app.test_client()
    assert "Frost tonight" in client.get("/").text
    kit.clock.advance(13 * 3600)
    assert "Frost tonight" not in client.get("/").text


def test_an_all_clear_is_news(kit: TrialKit) -> None:
    raise_warning(kit)
    with kit.store() as database:
        Alerts(database, kit.clock, sender="kit@village-kit", area="ol-kalou").all_clear(
            "frost-1", infos=[AlertText(language="en", event="Frost", headline="The frost is over")]
        )
    page = kit.app.test_client().get("/").text
    assert "The frost is over" in page
    assert "I have seen this" not in page


def test_a_reload_of_the_answer_leads_to_the_first_page(kit: TrialKit) -> None:
    answer = kit.app.test_client().get("/alerts/frost-1/seen")
    assert (answer.status_code, answer.location) == (303, "/")


def test_the_first_page_fits_into_one_round_trip(kit: TrialKit) -> None:
    raise_warning(kit)
    kit.put_forecast(frosty_night(kit.now_ms))
    client = kit.app.test_client()
    page = client.get("/", headers={"Accept-Encoding": "gzip"})
    text = gzip.decompress(page.data).decode()
    urls = [part.split('"')[0] for part in text.split('href="/static/')[1:]]
    sizes = [len(client.get(f"/static/{url}", headers={"Accept-Encoding": "gzip"}).data) for url in urls]
    assert len(urls) + 1 <= 3
    assert len(page.data) + sum(sizes) <= 14_000
    assert "<script" not in text
    assert "style=" not in text


def test_an_app_with_a_broken_card_or_broken_pages_takes_nothing_down(
    kit: TrialKit, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> Card:
        raise RuntimeError("no such sensor")

    def fail_pages(_: AppContext) -> None:
        raise ImportError("no such module")

    broken: list[VillageApp] = [
        VillageApp(name="broken", card=fail),
        VillageApp(name="worse", blueprint=fail_pages),  # type: ignore[arg-type]  # that is the point
    ]
    with caplog.at_level(logging.CRITICAL):
        app = create_app(kit.context, [*kit.frame.apps, *broken])
        assert app.test_client().get("/").status_code == 200


def test_the_most_urgent_card_stands_first(kit: TrialKit) -> None:
    def card_of(title: str, urgency: int) -> Callable[[AppContext, str], Card]:
        return lambda _, __: Card(title=title, text="", href="/", picture="nonsense", urgency=urgency)

    portal = next(app for app in kit.frame.apps if app.name == "portal")
    apps = [VillageApp(name=name, card=card_of(name, urgency)) for name, urgency in (("late", 2), ("urgent", 0))]
    page = create_app(kit.context, [portal, *apps]).test_client().get("/").text
    assert page.index("urgent") < page.index("late")


def test_another_villages_settings_change_the_page(kit: TrialKit) -> None:
    unit = replace(kit.context.settings.unit, name="Ndabibi", languages=("sw",))
    context = replace(kit.context, settings=replace(kit.context.settings, unit=unit))
    page = create_app(context, kit.frame.apps).test_client().get("/").text
    assert "Ndabibi" in page
    assert "Karibu" in page
    assert 'class="languages"' not in page
