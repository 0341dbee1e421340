"""What docs/broker.md says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from kit.broker.external import EXTERNAL_PROMISE
from kit.broker.protocol.limits import Limits

DOCS = re.sub(r"\n>?\s*", " ", (Path(__file__).parents[2] / "docs" / "broker.md").read_text(encoding="utf-8"))


def test_the_docs_state_the_weaker_promise_word_by_word() -> None:
    assert EXTERNAL_PROMISE in DOCS


def test_the_docs_state_the_limits_as_they_are() -> None:
    limits = Limits()
    for text in (
        f"packets of {limits.packet_bytes // 1024} KiB ({limits.connect_bytes // 1024} KiB before signing in)",
        f"topics of {limits.topic_bytes} bytes and {limits.topic_levels} levels",
        f"client ids of {limits.client_id_bytes} bytes",
        f"{limits.subscriptions_per_packet} filters in a packet and {limits.subscriptions_per_session} in a session",
        f"{limits.sessions_per_user} sessions per user",
        f"{limits.inflight} messages on their way to a client",
        f"{limits.retained_per_user} retained messages or {limits.retained_bytes_per_user >> 20} MiB per user",
        f"{limits.connections} connections",
        f"At most {limits.queued_messages:,} messages or {limits.queued_bytes >> 20} MiB wait",
    ):
        assert text in DOCS, text
