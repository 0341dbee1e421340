"""Make `sync/packing/text_model.json`, the letters' statistics that short messages are packed with.

    pip download --no-deps --no-binary :all: langdetect==1.0.9 && tar xzf langdetect-1.0.9.tar.gz
    python benchmarks/fit_text_model.py langdetect-1.0.9/langdetect/profiles > sync/packing/text_model.json

The profiles of langdetect (Apache-2.0; Michal Danilak after Nakatani Shuyo) count how often one, two and three letters
follow each other in the abstracts of Wikipedia. Counts are kept as half powers of two, which is as good and a third of
the size.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path

LANGUAGES = ("en", "fr", "sw", "ar", "ne")
"""Their places are on the wire."""

FIRST_LEVEL = "!"
SCALE_BITS = 24


def main() -> int:
    told: dict[str, object] = {
        "source": "counts of letters in the abstracts of Wikipedia, from the profiles of langdetect 1.0.9 (Apache-2.0)",
        "languages": {name: model_of(Path(sys.argv[1]) / name) for name in LANGUAGES},
    }
    print(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return 0


def model_of(profile: Path) -> dict[str, str]:
    """Of each context of up to two letters: which letters follow, each with the level of its count."""
    told = json.loads(profile.read_text(encoding="utf-8"))
    alphabet = letters_of(told["freq"])
    counts: Counter[str] = Counter()
    for gram, count in told["freq"].items():
        lower = gram.lower()
        if len(lower) == len(gram) and all(letter in alphabet for letter in lower):
            counts[lower] += count
    total = sum(count for gram, count in counts.items() if len(gram) == 1)
    model: dict[str, str] = {}
    for gram, count in sorted(counts.items(), key=lambda each: (each[0][:-1], -each[1], each[0])):
        level = max(0, round(2 * math.log2(count / total * 2**SCALE_BITS)))
        model[gram[:-1]] = model.get(gram[:-1], "") + gram[-1] + chr(ord(FIRST_LEVEL) + level)
    return model


def letters_of(counts: dict[str, int]) -> set[str]:
    """The language's own letters: foreign ones are spelled."""
    single: Counter[str] = Counter()
    for gram, count in counts.items():
        if len(gram) == 1:
            single[gram.lower()] += count
    most = max(single.values())
    return {letter for letter, count in single.items() if count * 20_000 > most and letter != "\ufffd"} | {" "}


if __name__ == "__main__":
    sys.exit(main())
