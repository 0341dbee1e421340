"""What the city has sent for everybody: files to keep, and advice to read."""

from __future__ import annotations

from typing import Any

import pytest

from kit.model.published import PublishedFile, published_body
from kit.run.received import ReceivedFiles
from kit.store.records import SqliteRecordStore
from sync.protocol.records import Priority, Record, RecordId
from village_apps.web.trial import TrialKit


def sent(kit: TrialKit, kind: str, name: str, content: bytes, *, seq: int = 1) -> None:
    body = published_body(PublishedFile(name=name, content=content, by="Asha"))
    record = Record(id=RecordId("core-a", 1, seq), kind=kind, priority=Priority.BULK, created_ms=1, body=body)
    with kit.store() as database:
        SqliteRecordStore(database).take([record], peer="core-a", link="lora", at_ms=kit.now_ms)
        ReceivedFiles(kit.home, database, kit.clock).look()


def page(kit: TrialKit, path: str) -> str:
    answer = kit.app.test_client().get(path)
    assert answer.status_code == 200, path
    return answer.text


def test_without_files_the_first_page_says_nothing_of_them(kit: TrialKit) -> None:
    assert "/files/" not in page(kit, "/")
    assert "The city has sent no file yet." in page(kit, "/files/")


def test_a_file_is_offered_on_the_first_page_and_leaves_as_an_attachment(kit: TrialKit) -> None:
    sent(kit, "file", "Mkutano ñ & ratiba.pdf", b"%PDF-1.4")
    assert "New: Mkutano ñ &amp; ratiba.pdf" in page(kit, "/")
    listed = page(kit, "/files/")
    assert "1 kB" in listed
    assert "Asha" in listed
    answer = kit.app.test_client().get("/files/file/Mkutano ñ & ratiba.pdf")
    assert answer.data == b"%PDF-1.4"
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Mkutano%20%C3%B1%20%26%20ratiba.pdf"
    kit.clock.advance(8 * 86400)
    assert "To keep on your phone." in page(kit, "/?lang=en")


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "run.js", "page.xhtml", "noending", "x.PDF.html"])
def test_nothing_that_was_sent_runs_as_a_page_of_the_kit(kit: TrialKit, name: str) -> None:
    sent(kit, "file", name, b"<script>alert(1)</script>")
    answer = kit.app.test_client().get(f"/files/file/{name}")
    headers: Any = answer.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    ["file/none.txt", "file/..%2f..%2fkit.db", "lesson/water.toml", "file/%2e%2e", "other/a.txt", "file/gone.txt"],
)
def test_only_what_was_received_can_be_fetched(kit: TrialKit, path: str) -> None:
    sent(kit, "lesson", "water.toml", b"x")
    sent(kit, "file", "gone.txt", b"x", seq=2)
    (kit.home.content / "file" / "gone.txt").unlink()
    assert kit.app.test_client().get(f"/files/{path}").status_code == 404


def test_advice_is_read_on_the_page_of_the_field(kit: TrialKit) -> None:
    sent(kit, "advice", "locusts.txt", b"Locusts <are> coming\n\nCover the seedlings.\nTell your neighbours.\n")
    sent(kit, "advice", "table.pdf", b"%PDF", seq=2)
    sent(kit, "advice", "bad.txt", b"\xff\xfe", seq=3)
    kit.clock.advance(60)
    sent(kit, "advice", "locusts-2.txt", b"Locusts again\n\nStay calm.", seq=4)
    assert "New advice from the city: Locusts again" in page(kit, "/")
    field = page(kit, "/agri/")
    assert "Locusts &lt;are&gt; coming" in field
    assert 'href="/files/advice/table.pdf"' in field
    assert 'href="/files/advice/bad.txt"' in field
    told = page(kit, "/agri/advice/locusts.txt")
    assert "Sent by the city: Asha" in told
    assert "Cover the seedlings.\nTell your neighbours." in told
    assert kit.app.test_client().get("/agri/advice/table.pdf").status_code == 404
    assert kit.app.test_client().get("/files/advice/table.pdf").data == b"%PDF"


def test_a_file_or_advice_is_opened_by_the_page_that_gives_it_and_by_no_list(kit: TrialKit) -> None:
    sent(kit, "file", "plan.pdf", b"%PDF")
    sent(kit, "advice", "locusts.txt", b"Locusts\n\nCover the seedlings.", seq=2)
    sent(kit, "advice", "table.csv", b"a,b", seq=3)

    def opened() -> list[int]:
        with kit.store() as database:
            rows = database.connection.execute("SELECT seq FROM records WHERE read_ms IS NOT NULL ORDER BY seq")
            return [row[0] for row in rows]

    for path in ("/", "/files/", "/agri/"):
        page(kit, path)
    kit.app.test_client().head("/files/file/plan.pdf")
    assert opened() == []
    page(kit, "/agri/advice/locusts.txt")
    assert opened() == [2]
    page(kit, "/files/file/plan.pdf")
    page(kit, "/files/advice/table.csv")
    assert opened() == [1, 2, 3]
