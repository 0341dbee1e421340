"""Whatever arrives, a dialect answers with readings or with its one named problem."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from captured import CAPTURES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit.collect.dialects import OWN
from kit.collect.dialects.port import MAX_BYTES, Dialect, DialectError, Heard, Parsed

QUIET = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _words(told: Any) -> set[str]:
    if isinstance(told, dict):
        return set(told) | {word for value in told.values() for word in _words(value)}
    if isinstance(told, list):
        return {word for value in told for word in _words(value)}
    return {told} if isinstance(told, str) else set()


def _json(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


WORDS = sorted({word for c in CAPTURES for _, payload in c.messages for word in _words(_json(payload))})
LEVELS = sorted({level for c in CAPTURES for topic, _ in c.messages for level in topic.split("/")})

topics = st.lists(st.sampled_from(LEVELS) | st.text(max_size=4), min_size=1, max_size=6).map("/".join)
numbers = st.floats() | st.integers() | st.sampled_from([10**400, -(10**400), 1e308, 2**63, True])
leaves = st.none() | st.booleans() | numbers | st.text(max_size=8) | st.sampled_from(WORDS)
objects = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), inner),
    max_leaves=25,
)
every_dialect = pytest.mark.parametrize("dialect", OWN, ids=lambda dialect: dialect.name)


def _hear(dialect: Dialect, topic: str, payload: bytes, known: dict[str, str] | None = None) -> Parsed | None:
    dialect.recognise(topic, payload)
    parsed = None
    sentences: list[str] = []
    for below in (None, "", topic, topic.partition("/")[2]):
        try:
            parsed = dialect.parse(Heard(topic, payload, below, "a/b", known or {}))
        except DialectError as problem:
            sentences.append(str(problem))
            continue
        for seen in parsed.observations:
            assert math.isfinite(seen.value)
            assert math.isfinite(seen.time_s)
            assert seen.quantity.isprintable()
            assert 0 < len(seen.quantity) <= 200
            assert seen.unit.isprintable()
            assert len(seen.part) <= 40
            assert "/" not in seen.part
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in parsed.learned.items())
    assert all(0 < len(sentence) < 1000 for sentence in sentences)
    return parsed


@every_dialect
@QUIET
@given(topic=topics, payload=st.binary(max_size=200))
def test_any_bytes_are_readings_or_a_named_problem(dialect: Dialect, topic: str, payload: bytes) -> None:
    _hear(dialect, topic, payload)
    _hear(dialect, topic, b"{" + payload)


@every_dialect
@QUIET
@given(topic=topics, told=objects)
def test_any_json_is_readings_or_a_named_problem(dialect: Dialect, topic: str, told: Any) -> None:
    _hear(dialect, topic, _dumped(told))


@every_dialect
@QUIET
@given(data=st.data())
def test_a_real_message_with_one_part_changed_is_readings_or_a_named_problem(dialect: Dialect, data: Any) -> None:
    capture = data.draw(st.sampled_from([capture for capture in CAPTURES if capture.kind == dialect.name]))
    topic, payload = data.draw(st.sampled_from(capture.messages))
    told = _json(payload)
    if isinstance(told, dict):
        held, key = told, data.draw(st.sampled_from(sorted(told)))
        while isinstance(held[key], dict) and held[key] and data.draw(st.booleans()):
            held = held[key]
            key = data.draw(st.sampled_from(sorted(held)))
        held[key] = data.draw(objects)
    own = next((topic[len(b) + 1 :] for b in (capture.base,) if topic.startswith(b + "/")), topic.partition("/")[2])
    try:
        parsed = dialect.parse(Heard(topic, _dumped(told), own.rpartition("/")[2] or own, capture.base))
    except DialectError:
        return
    assert all(math.isfinite(seen.value) for seen in parsed.observations)


@every_dialect
@settings(max_examples=25, deadline=None)
@given(known=st.dictionaries(topics, st.text(max_size=30) | objects.map(json.dumps), max_size=4), topic=topics)
@example(known={"k": '["t", ["a"], "", "", ""]'}, topic="t")
@example(known={"k": '["t", 5, null, {}, []]'}, topic="t")
def test_nothing_that_was_learned_can_make_it_fail(dialect: Dialect, known: dict[str, str], topic: str) -> None:
    _hear(dialect, topic, b'{"a": 1}', known)
    _hear(dialect, topic, b"1", known)


@every_dialect
def test_hostile_messages_are_refused_quickly(dialect: Dialect) -> None:
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    wide = json.dumps({f"temperature_{n}": n for n in range(4_000)}).encode()
    template = json.dumps({"stat_t": "x", "name": "t", "val_tpl": "{{" + " |float" * 9_000 + "}"}).encode()
    huge = b'{"a":"' + b"x" * (2 * MAX_BYTES) + b'"}'
    topic = next(capture.messages[-1][0] for capture in CAPTURES if capture.kind == dialect.name)
    started = time.process_time()
    for payload in (deep, deep.replace(b"{", b"[").replace(b'"a":', b""), wide, template, huge, b"9" * 60_000):
        _hear(dialect, topic, payload)
        _hear(dialect, "homeassistant/sensor/x/config", payload)
    assert time.process_time() - started < 5


def _dumped(told: Any) -> bytes:
    try:
        return json.dumps(told).encode()
    except ValueError:  # an integer beyond what Python turns into digits
        return b'{"a": ' + b"9" * 5_000 + b"}"
