"""A lesson from the city on a small phone without JavaScript: found, read, and its quiz handed in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from kit.model.published import PublishedFile, published_body
from kit.run.received import ReceivedFiles
from kit.store.records import SqliteRecordStore
from sync.protocol.records import Priority, Record, RecordId
from village_apps.learning.library import LESSONS
from village_apps.learning.publishing import ready_lesson
from village_apps.web.trial import TrialKit

pytestmark = pytest.mark.browser


def test_a_published_lesson_is_found_read_and_answered_on_a_small_phone(kit: TrialKit, tmp_path: Path) -> None:
    own = ready_lesson(LESSONS / "frost" / "lesson.toml").file.content.decode()
    text = own.replace('key = "frost"', 'key = "hail"').replace("When frost comes", "When hail comes")
    body = published_body(PublishedFile(name="hail.toml", content=text.encode(), by="Asha, agronomist"))
    record = Record(id=RecordId("core-a", 1, 1), kind="lesson", priority=Priority.BULK, created_ms=1, body=body)
    with kit.store() as database:
        SqliteRecordStore(database).take([record], peer="core-a", link="lora", at_ms=kit.now_ms)
        ReceivedFiles(kit.home, database, kit.clock).look()
    folder = Path(os.environ.get("KIT_SCREENSHOTS", tmp_path))
    with kit.served() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 360, "height": 640}, java_script_enabled=False, locale="en")
        page.goto(address)
        page.get_by_text("A new lesson: When hail comes").click()
        assert "New · Asha, agronomist" in page.locator("main").inner_text()
        page.get_by_text("When hail comes").click()
        page.screenshot(path=folder / "published-lesson.png", full_page=True)
        drawn = page.locator("figure svg").first.bounding_box()
        assert drawn is not None
        assert 200 < drawn["width"] <= 360
        wide = page.locator("main").bounding_box()
        assert wide is not None
        assert wide["width"] <= 360
        page.get_by_text("To the questions").click()
        for fieldset in page.locator("fieldset").all():
            fieldset.locator("label").first.click()
        page.get_by_role("button", name="Show me what was right").click()
        assert "of 5 right" in page.locator("main").inner_text()
        chromium.close()
