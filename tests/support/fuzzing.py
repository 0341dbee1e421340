"""A byte-level fuzzer: takes captured messages, damages them, and sees what the parsers say.

A parser may refuse what it is given with its own typed error. Anything else that it raises, and anything over which it
takes longer than `SLOW_S`, is a finding. Inputs that bring out an answer not seen before join the captured ones, so
that damage builds on damage; that is what coverage would be used for, without instruments.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SLOW_S = 2.0
"""Far beyond what any message costs, for machines that do something else besides."""

MAX_BYTES = 4_096
CORPUS = 2_000
"""Inputs kept for each target; beyond it a random one makes room."""

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x10, 0x20, 0x23, 0x2B, 0x2F, 0x24, 0x22, 0x5B, 0x7B)
WORDS = (
    b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x01",
    b"\xff\xff",
    b"\x00\x00",
    b"$share/a/",
    b"/#",
    b"+/",
    b"\xed\xa0\x80",
    b"1e999",
    b"-0",
    b"NaN",
    b"[[[[[[[[",
    b'{"":',
    b"\x9f\x9f\x9f\x9f",
    b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\\ud800",
    b"99999999999999999999999999",
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser.

    Attributes:
        name: for `--only`.
        seeds: messages as they really come.
        parse: what is tried; what it returns is only compared.
        refuses: errors by which it may refuse a message.
    """

    name: str
    seeds: Sequence[bytes]
    parse: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An input that a parser could not cope with."""

    target: str
    data: bytes
    problem: str

    def __str__(self) -> str:
        return f"{self.target}: {self.problem}\n  repeat it: script/fuzz --only {self.target} --hex {self.data.hex()}"


@dataclass
class Report:
    """What a run has done."""

    tried: int = 0
    answers: int = 0
    findings: list[Finding] = field(default_factory=list)


def try_one(target: Target, data: bytes) -> tuple[str, Finding | None]:
    """The parser's answer in short, and a finding if it is none."""
    started = time.process_time()  # what others do on this machine must not count
    try:
        answer = f"{target.parse(data)}"
    except target.refuses as refusal:
        answer = f"{type(refusal).__name__} {re.sub(r'[0-9]+', '0', str(refusal))[:40]}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return "", Finding(target=target.name, data=data, problem=f"{type(error).__name__}: {error}")
    took_s = time.process_time() - started
    if took_s > SLOW_S:
        return answer, Finding(target=target.name, data=data, problem=f"it took {took_s:.1f} s")
    return answer, None


def fuzz(target: Target, *, seconds: float, rng: random.Random) -> Report:
    """Try damaged messages for so long, or until something is found."""
    report = Report()
    corpus = list(target.seeds)
    seen: set[str] = set()
    ends = time.perf_counter() + seconds
    for data in corpus:
        answer, finding = try_one(target, data)
        seen.add(answer)
        if finding is not None:
            report.findings.append(finding)
            return report
    while time.perf_counter() < ends:
        data = mutate(rng.choice(corpus), corpus, rng)
        answer, finding = try_one(target, data)
        report.tried += 1
        if finding is not None:
            report.findings.append(finding)
            break
        if answer not in seen:
            seen.add(answer)
            corpus.append(data)
            if len(corpus) > CORPUS:
                corpus.pop(rng.randrange(len(target.seeds), len(corpus)))
    report.answers = len(seen)
    return report


def mutate(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """The message with one to eight damages."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4, 8))):
        _damage(damaged, corpus, rng)
    return bytes(damaged[:MAX_BYTES])


def _damage(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 16)))
    match rng.randrange(9):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[at % len(data)] = rng.choice(INTERESTING)
        case 2 if data:
            data[at % len(data)] = (data[at % len(data)] + rng.choice((-1, 1, 16))) % 256
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4)))
        case 5:
            data[at:at] = rng.choice(WORDS)
        case 6:
            data[at:at] = data[at:end] * rng.choice((1, 2, 30))
        case 7:
            other = rng.choice(corpus)
            cut = rng.randrange(len(other) + 1)
            data[at:] = other[cut:]
        case _:
            del data[at:]
