"""The specification tells the truth."""

from __future__ import annotations

from pathlib import Path

from sync.protocol import keys
from sync.protocol.frames import FrameType
from sync.protocol.items import KINDS, WIRE_EPOCH_MS, Code, RecordPacker
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.sealing import Sealer

DOCUMENT = (Path(__file__).parents[3] / "docs" / "sync-protocol.md").read_text(encoding="utf-8")


def test_the_vector_in_the_specification_is_what_a_kit_sends() -> None:
    shared = keys.agree(bytes(range(32)), keys.public_of(bytes(range(32, 64))))
    record = Record(
        id=RecordId("kit-a", 5, 1),
        kind="receipt",
        priority=Priority.RECEIPT,
        created_ms=WIRE_EPOCH_MS + 61_000,
        body=b"\x01",
    )
    item = RecordPacker("kit-a").encode(record)
    secret = keys.agree(bytes(range(64, 96)), keys.public_of(bytes(range(96, 128))))
    sealer = Sealer(shared, kind=FrameType.UP, link_id=7, salt=1)
    short = sealer.seal_short(RecordPacker("kit-a", epoch=5).encode(record), counter=1, peer_salt=2, secret=secret)
    frame = sealer.seal(item, counter=1)
    for name, told in (("shared", shared), ("item", item), ("frame", frame), ("short", short)):
        assert f"{name:8}{told.hex()}\n" in DOCUMENT


def test_the_specification_names_every_item_and_every_kind() -> None:
    for code in Code:
        assert f"| `0x{code:02x}` |" in DOCUMENT
    listed = ", ".join(f"{number} {kind}" for number, kind in enumerate(KINDS) if kind)
    assert listed in " ".join(DOCUMENT.split())
