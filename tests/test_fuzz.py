"""Every parser for a moment under the byte-level fuzzer; `script/fuzz 36000` does the same for hours."""

from __future__ import annotations

import random

import pytest
from fuzz_targets import all_targets
from fuzzing import Target, fuzz, try_one

SECONDS = 0.25
TARGETS = all_targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_messages_are_refused_in_words_or_understood(target: Target) -> None:
    report = fuzz(target, seconds=SECONDS, rng=random.Random(1))
    assert not report.findings, str(report.findings[0])
    assert report.answers > 1


def test_the_fuzzer_finds_what_is_there_to_be_found() -> None:
    def parse(data: bytes) -> int:
        return {0x22: 1}[data[0]] if data[:1] == b"\x22" else data[len(data)] if data[1:2] == b"#" else 0

    report = fuzz(Target(name="bad", seeds=[b"abcdef"], parse=parse), seconds=20, rng=random.Random(1))
    assert "IndexError" in report.findings[0].problem
    assert "--hex" in str(report.findings[0])
    answer, finding = try_one(Target(name="bad", seeds=[], parse=parse, refuses=(IndexError,)), b"a#")
    assert (answer.split()[0], finding) == ("IndexError", None)
