"""A lesson from the core's command line to a pupil's phone and back: real processes, a real link, a real browser."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from village import Village
from whole_unit import KIT, wait_until

from kit.settings import load_settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DOCS = Path(__file__).parents[2] / "docs" / "lessons.md"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 19"><path d="M0 0h36v19z" fill="#22304f"/></svg>'


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    made = Village(tmp_path)
    yield made
    for home in list(made.processes):
        made.stop(home)


@pytest.fixture
def phone() -> Iterator[Page]:
    """Small, without JavaScript."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium.new_page(viewport={"width": 360, "height": 640}, java_script_enabled=False, locale="en")
        chromium.close()


def publish(village: Village, *words: str) -> str:
    done = subprocess.run(
        [*KIT, "core", "publish", *words, "--home", str(village.core)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def how_far(village: Village) -> str:
    (publication,) = village.kit("core", "published", home=village.core)
    (copy,) = publication["kits"]
    return str(copy["state"])


def core_page(village: Village) -> str:
    address = load_settings(village.core / "kit.toml").core.web
    with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
        return str(answer.read().decode())


def test_a_lesson_published_at_the_core_is_opened_by_a_pupil_the_core_knows_it_and_takes_it_back(
    village: Village, phone: Page, tmp_path: Path
) -> None:
    text = DOCS.read_text(encoding="utf-8")
    (tmp_path / "lesson.toml").write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    (tmp_path / "dusk.svg").write_text(SVG)
    village.start(village.core, "core", "run")
    invite = village.kit("core", "invite", "Kinamba", home=village.core)
    village.start(village.home, "run")
    village.kit("join", invite["invite"])
    wait_until(lambda: village.kit("core", "kits", home=village.core), seconds=90, what="the kit has joined")

    told = publish(village, str(tmp_path / "lesson.toml"), "--kind", "lesson", "--by", "Asha, agronomist")
    assert "Published for all kits" in told
    wait_until(lambda: how_far(village) == "accepted", seconds=90, what="the kit has it")
    wait_until(lambda: village.kit("status")["content"], seconds=90, what="it is among the kit's content")
    assert "not known to be opened" in core_page(village)

    phone.goto(f"http://127.0.0.1:{village.web}/")
    phone.get_by_text("A new lesson: Water that lasts").click()
    phone.get_by_text("Water that lasts").click()
    main: Any = phone.locator("main")
    assert "Sent by the city: Asha, agronomist" in main.inner_text()
    assert "Water seldom, but much at once." in main.inner_text()
    phone.screenshot(path=Path(os.environ.get("KIT_SCREENSHOTS", tmp_path)) / "lesson-from-the-core.png")

    wait_until(lambda: how_far(village) == "opened", seconds=90, what="the core knows that it was opened")
    page = core_page(village)
    assert "opened at 1" in page
    assert "Nobody can say from here whether it was read" in page

    (published,) = village.kit("core", "published", home=village.core)
    village.kit("core", "withdraw", str(published["number"]), home=village.core)
    wait_until(lambda: how_far(village) == "withdrawn", seconds=90, what="the kit knows that it is withdrawn")
    wait_until(lambda: not village.kit("status")["content"], seconds=90, what="it is gone there")
    answer: Any = phone.goto(f"http://127.0.0.1:{village.web}/learn/water/")
    assert answer.status == 404
    assert "Water that lasts" not in phone.content()
