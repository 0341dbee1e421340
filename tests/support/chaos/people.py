"""People with phones: they confirm warnings and hand in quizzes, and try again until the page has thanked them."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from chaos.town import Town

SUPPORT = Path(__file__).parents[1]


class _Thanked(urllib.request.HTTPRedirectHandler):
    """The redirect after a form is the page's thanks; where it leads to need not be fetched."""

    def redirect_request(self, *_arguments: Any, **_keywords: Any) -> None:
        return None


@dataclass
class People:
    """Writers on the page, and what they were thanked for.

    Attributes:
        receipts: (alert, person).
        quizzes: sheets.
    """

    town: Town
    rng: random.Random
    alerts: AlertLog
    receipts: set[tuple[str, str]] = field(default_factory=set)
    quizzes: set[str] = field(default_factory=set)

    def live(self, stop: threading.Event, name: str) -> None:
        """Press buttons until told to stop; what was begun is finished, as long as the page comes back."""
        for number in count(1):
            if stop.wait(self.rng.uniform(0.05, 0.3)):
                return
            if number % 3 == 0:
                self._quiz(f"{name}-sheet-{number}", stop)
            elif self.alerts.raised:
                self._confirm(self.rng.choice(sorted(self.alerts.raised)), f"{name} {number}", stop)

    def _confirm(self, alert: str, person: str, stop: threading.Event) -> None:
        if self._send(f"/alerts/{alert}/seen", stop, name=person):
            self.receipts.add((alert, person))

    def _quiz(self, sheet: str, stop: threading.Event) -> None:
        answers = {key: str(self.rng.randrange(2)) for key in self._questions()}
        if self._send("/learn/frost/quiz", stop, sheet=sheet, **answers):
            self.quizzes.add(sheet)

    def _questions(self) -> list[str]:
        from village_apps.learning.library import lessons

        return [question.key for question in lessons()["frost"].questions]

    def _send(self, path: str, stop: threading.Event, **form: str) -> bool:
        """Whether the page thanked (303). A page that is down is asked again; the same words count once."""
        portal = self.town.portal
        opener = urllib.request.build_opener(_Thanked)
        for attempt in range(200):
            request = urllib.request.Request(portal + path, urllib.parse.urlencode(form).encode(), {"Origin": portal})
            try:
                opener.open(request, timeout=5).close()
            except urllib.error.HTTPError as answer:
                answer.close()
                if answer.code == http.HTTPStatus.SEE_OTHER:
                    return True
                if answer.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    return False
            except (OSError, http.client.HTTPException):
                pass
            if stop.is_set() and attempt > 20:
                return False
            threading.Event().wait(0.2)
        return False


@dataclass
class AlertLog:
    """Alerts that a raiser has acknowledged, over all raisers of a run."""

    town: Town
    pause_s: float = 0.7
    raised: set[str] = field(default_factory=set)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None
    _starts: int = 0

    def start(self) -> None:
        """A new raiser; the one before is dead."""
        self._starts += 1
        disk = self.town.kit.disk
        # a test finds this package by pytest's path, a process of its own by the environment's
        environment = (os.environ if disk is None else disk.environment) | {"PYTHONPATH": str(SUPPORT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.raiser", str(self.town.kit.home), f"alert-{self._starts}", str(self.pause_s)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._reader = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Kill it with -9, as the unit around it was, and take in its last words."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join(10)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):
                self.raised.add(line.strip())
        process.stdout.close()
