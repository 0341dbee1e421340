"""docs/dialects.md is what the dialects write, and a third party's dialect is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.collect.dialects_page import dialects_page

ROOT = Path(__file__).parents[2]

FOREIGN = """
from kit.collect.dialects.port import Guide, Observation, Parsed, Setting
from kit.model.grants import Grants

class Foreign:
    name = "foreign"
    guide = Guide(title="Foreign", what="a maker's own", where="its page", reads="`f/<name>`")
    def base(self, name): return "f/" + name
    def grants(self, base): return Grants(publish=(base + "/#",))
    def settings(self, base, access): return [Setting("Topic", base)]
    def recognise(self, topic, payload): return None
    def parse(self, heard): return Parsed([Observation("temperature", "Cel", float(heard.payload), 0.0, True)])

class Thief(Foreign):
    name = "tasmota"

FOREIGN, THIEF = Foreign(), Thief()
"""
POINTS = """[village_kit.dialects]
foreign = foreign_dialect:FOREIGN
broken = no_such_module:DIALECT
thief = foreign_dialect:THIEF
"""
LOOK = """
from kit.collect.dialects import dialects, left_out
print(sorted(set(dialects()) & {"foreign", "tasmota"}), dialects()["tasmota"].guide.title)
print("|".join(left_out()))
"""


def test_the_page_of_dialects_is_the_one_the_dialects_write() -> None:
    assert (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8") == dialects_page(), (
        "write it anew: python -m kit.collect.dialects_page > docs/dialects.md"
    )


def test_a_third_partys_dialect_is_found_and_a_bad_one_silences_nobody(tmp_path: Path) -> None:
    (tmp_path / "foreign_dialect.py").write_text(FOREIGN)
    installed = tmp_path / "foreign_dialect-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-dialect\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(POINTS)
    looked = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    found, problems = looked.stdout.splitlines()
    assert found == "['foreign', 'tasmota'] Tasmota"
    assert "the dialect 'broken' (no_such_module:DIALECT) cannot be loaded and is left out" in problems
    assert "'thief'" in problems
    assert "there is a dialect named 'tasmota' already" in problems
