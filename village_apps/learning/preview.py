"""The pages of a lesson in one file, as a kit shows them, for whoever writes it.

They are made by the pages' own frame, with the style sheet inside; links lead nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from kit.errors import KitError
from village_apps.learning.library import KIND
from village_apps.learning.publishing import ReadyLesson

_MAIN = re.compile(r'<main id="content">(.*)</main>', re.DOTALL)
_SHEET = re.compile(r'<link rel="stylesheet"[^>]*>')
_ICON = re.compile(r'<link rel="icon"[^>]*>')


def write_preview(ready: ReadyLesson, file: Path) -> None:
    """Write the lesson, its questions and its result, one below the other.

    Raises:
        KitError: the file cannot be written.
    """
    from kit.store.schema import MIGRATIONS
    from village_apps.learning import APP
    from village_apps.learning.results import MIGRATIONS as RESULTS
    from village_apps.web.static_files import FOLDER
    from village_apps.web.trial import trial_kit

    address, right = f"/learn/{ready.lesson.key}/", "-".join(str(each.right) for each in ready.lesson.questions)
    with TemporaryDirectory() as folder, trial_kit(Path(folder), [APP], (*MIGRATIONS, *RESULTS)) as kit:
        shelf = kit.home.content / KIND
        shelf.mkdir()
        (shelf / ready.file.name).write_bytes(ready.file.content)
        client = kit.app.test_client()
        pages = [client.get(f"{address}{rest}").text for rest in ("", "quiz", f"result?answers={right}")]
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    first, *others = pages
    below = "<hr>".join(found[1] for found in map(_MAIN.search, others) if found)
    whole = _ICON.sub("", _SHEET.sub(lambda _: f"<style>{style}</style>", first)).replace(
        "</main>", f"<hr>{below}</main>"
    )
    try:
        file.write_text(whole, encoding="utf-8")
    except OSError as error:
        raise KitError(f"{file} cannot be written ({error.strerror})") from error
