"""docs/sensors.md tells of everything there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.model.quantities import QUANTITIES
from kit.model.readings import Quality, quality_word

DOCS = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text()


@pytest.mark.parametrize("name", sorted(QUANTITIES))
def test_every_quantity_is_documented_with_its_unit(name: str) -> None:
    assert f"`{name}`" in DOCS
    assert f"`{QUANTITIES[name].unit}`" in DOCS


@pytest.mark.parametrize("flag", list(Quality))
def test_every_flag_is_documented(flag: Quality) -> None:
    assert f"| `{quality_word(flag)}` |" in DOCS
