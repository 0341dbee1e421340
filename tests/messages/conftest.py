from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.run.schema import unit_migrations
from village_apps.app import find_apps
from village_apps.web.trial import TrialKit, trial_kit

MIGRATIONS = unit_migrations()


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TrialKit]:
    with trial_kit(tmp_path / "home", find_apps(), MIGRATIONS) as made:
        yield made
