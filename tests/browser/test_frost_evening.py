"""A grower's evening in a real browser: small screen, no JavaScript, the real pages on the real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Response, sync_playwright

from kit.alerts.lifecycle import Alerts
from kit.model.alert import Alert, AlertText, Area, Severity
from village_apps.web.trial import HOUR_MS, TrialKit, frosty_night

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SMALL = {"width": 360, "height": 640}
FIRST_PAGE_BYTES = 14_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@dataclass
class Phone:
    """A phone on the kit's Wi-Fi that notes everything it asks for."""

    page: Page
    address: str
    pictures: Path
    asked: list[str] = field(default_factory=list)
    bytes_read: int = 0

    def watch(self) -> None:
        self.page.on("request", self._note)
        self.page.on("requestfinished", self._measure)

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    def _measure(self, request: Request) -> None:
        self.bytes_read += request.sizes()["responseBodySize"]

    def open(self, path: str) -> Response:
        answer = self.page.goto(self.address + path)
        assert answer is not None
        return answer

    def sees(self, text: str) -> bool:
        """Whether these words come into sight; the page may still be loading after a touch."""
        self.page.get_by_text(text).first.wait_for(state="visible", timeout=20_000)
        return True

    def photograph(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def touch(self, text: str) -> None:
        """Press a button or link by what it says; it must be large enough for a thumb."""
        target = self.page.get_by_role("button", name=text).or_(self.page.get_by_role("link", name=text)).first
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
        target.click()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go; set KIT_SCREENSHOTS to keep them."""
    folder = Path(os.environ.get("KIT_SCREENSHOTS", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(params=["en", "sw"])
def phone(kit: TrialKit, browser: Browser, pictures: Path, request: pytest.FixtureRequest) -> Iterator[Phone]:
    kit.put_forecast(frosty_night(kit.now_ms))
    raise_warning(kit)
    with kit.served() as address:
        context = browser.new_context(viewport=SMALL, java_script_enabled=False, locale=request.param)  # type: ignore[arg-type]
        made = Phone(context.new_page(), address, pictures)
        made.watch()
        yield made
        context.close()
    assert [url for url in made.asked if not url.startswith((made.address, "data:"))] == []


def raise_warning(kit: TrialKit) -> None:
    english = AlertText(
        language="en",
        event="Frost",
        headline="Frost warning: it may freeze tonight",
        description="The air may fall to −2.5 °C by sunrise.",
        instruction="Cover small plants before dark. Water dry soil.",
    )
    swahili = AlertText(
        language="sw",
        event="Jalidi",
        headline="Onyo la jalidi: huenda maji yakaganda usiku huu",
        description="Hewa huenda ikashuka hadi −2.5 °C kufikia macheo.",
        instruction="Funika mimea midogo kabla ya giza. Mwagilia udongo mkavu.",
    )
    with kit.store() as database:
        Alerts(database, kit.clock, sender="kit@village-kit", area="ol-kalou").raise_alert(
            Alert(
                identifier="frost-2016-04-13",
                sender="kit@village-kit",
                sent_ms=kit.now_ms,
                event="frost",
                severity=Severity.SEVERE,
                onset_ms=kit.now_ms + 4 * HOUR_MS,
                expires_ms=kit.now_ms + 12 * HOUR_MS,
                area=Area("ol-kalou"),
                infos=(english, swahili),
            )
        )


WORDS = {
    "en": {
        "nobody": "Nobody has confirmed this yet.",
        "name": "Your name",
        "seen": "I have seen this",
        "thanks": "Thank you, Amina.",
        "first": "Seen by one person: Amina",
        "learn": "Learn",
        "questions": "To the questions",
        "show": "Show me what was right",
        "missing": "One question has no answer yet.",
        "score": "5 of 5 right",
    },
    "sw": {
        "nobody": "Bado hakuna aliyethibitisha kuona onyo hili.",
        "name": "Jina lako",
        "seen": "Nimeona hili",
        "thanks": "Asante, Amina.",
        "first": "Mtu mmoja ameliona: Amina",
        "learn": "Jifunze",
        "questions": "Nenda kwenye maswali",
        "show": "Nionyeshe majibu sahihi",
        "missing": "Swali moja bado halijajibiwa.",
        "score": "Sahihi 5 kati ya 5",
    },
}

RIGHT_ANSWERS = {"sky": "1", "place": "2", "cover": "0", "sprinkler": "1", "fire": "2"}


def test_from_the_first_page_to_the_warning_to_the_quiz(phone: Phone) -> None:
    page = phone.page
    phone.open("/")
    words = WORDS[page.locator("html").get_attribute("lang") or ""]
    assert len(phone.asked) <= 3
    assert phone.bytes_read <= FIRST_PAGE_BYTES
    assert phone.sees(words["nobody"])
    phone.photograph(f"{words['learn']}-1-warning")

    page.get_by_label(words["name"]).fill("Amina")
    phone.touch(words["seen"])
    assert phone.sees(words["thanks"])
    assert phone.sees(words["first"])
    phone.photograph(f"{words['learn']}-2-thanks")

    phone.touch(words["learn"])
    page.locator(".tile").first.click()
    phone.photograph(f"{words['learn']}-3-lesson")
    phone.touch(words["questions"])
    for question, answer in list(RIGHT_ANSWERS.items())[:-1]:
        page.locator(f"input[name={question}][value='{answer}']").check()
    phone.touch(words["show"])
    assert phone.sees(words["missing"])
    phone.photograph(f"{words['learn']}-4-missing")
    page.locator("input[name=fire][value='2']").check()
    phone.touch(words["show"])
    page.get_by_role("heading", name=words["score"]).wait_for(state="visible", timeout=20_000)
    phone.photograph(f"{words['learn']}-5-result")


@pytest.mark.parametrize(
    "path", ["/", "/learn/frost/", "/learn/frost/quiz", "/agri/?crop=apple&stage=full-bloom", "/frost/"]
)
def test_nothing_is_wider_than_the_smallest_screen(phone: Phone, path: str) -> None:
    phone.page.set_viewport_size({"width": 320, "height": 568})
    phone.open(path)
    wide = phone.page.locator("main").bounding_box()
    assert wide is not None
    # a full-page picture is as wide as what can be scrolled to
    picture = phone.page.screenshot(full_page=True)
    assert int.from_bytes(picture[16:20], "big") == 320  # the width in a PNG's header
    phone.photograph(f"320-{path.strip('/').replace('/', '-').split('?')[0] or 'first'}")


def test_every_link_and_field_is_large_enough_for_a_thumb(phone: Phone) -> None:
    phone.open("/")
    for target in phone.page.locator("main a, main button, main input, header a, footer a").all():
        box = target.bounding_box()
        assert box is None or min(box["height"], box["width"]) >= 44


def test_a_captive_portal_probe_opens_the_first_page(phone: Phone) -> None:
    answer = phone.open("/generate_204")
    assert answer.url == f"{phone.address}/"
    assert answer.ok
