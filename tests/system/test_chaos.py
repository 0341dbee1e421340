"""The short form of script/chaos: a kit and a core killed a dozen times, and every acknowledgement called in."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.__main__ import Plan, run
from forgetful import compiler

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    "forgetful",
    [
        pytest.param(False, id="killed"),
        pytest.param(
            True,
            id="power cut",
            marks=pytest.mark.skipif(compiler() is None, reason="no C compiler; script/test installs one"),
        ),
    ],
)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, *, forgetful: bool) -> None:
    result = run(Plan(seed=4, kills=12, devices=20, forgetful=forgetful), tmp_path)
    assert result.clean, result.text()
    kit = {line.kind: line.acknowledged for line in result.kit}
    assert kit["readings"] > 300, result.text()
    assert kit["receipts"] > 10, result.text()
    assert kit["alerts"] > 3, result.text()
