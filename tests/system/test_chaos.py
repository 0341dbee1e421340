"""The short form of script/chaos: a kit and a core killed a dozen times, and every acknowledgement called in."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.__main__ import Plan, run
from forgetful import compiler
from powercut import lacking

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    "disk",
    [
        pytest.param("kept", id="killed"),
        pytest.param(
            "forgetful",
            id="power cut, by a shim that forgets",
            marks=pytest.mark.skipif(compiler() is None, reason="no C compiler; script/test installs one"),
        ),
        pytest.param("ext4", id="power cut, of an ext4 of its own"),
    ],
)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, disk: str) -> None:
    if disk == "ext4" and (reason := lacking()):
        pytest.skip(reason)
    result = run(Plan(seed=4, kills=12, devices=20, disk=disk), tmp_path)
    assert result.clean, result.text()
    kit = {line.kind: line.acknowledged for line in result.kit}
    assert kit["readings"] > 300, result.text()
    assert kit["receipts"] > 10, result.text()
    assert kit["alerts"] > 3, result.text()
