"""`kit core publish`: files that the city sends to many villages at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.cli.core_messages import OpenCore
from kit.cli.core_words import add_kits, kit_count, units_named
from kit.cli.output import print_json
from kit.errors import UsageError
from kit.model.published import KINDS, MAX_FILE_BYTES, PublishedError, PublishedFile, published_body
from sync.protocol.records import Priority

if TYPE_CHECKING:
    from sync.core.setup import Core


def add_core_broadcasts(words: Any, open_core: OpenCore) -> None:
    """Add the commands to those of `kit core`.

    Args:
        words: the subparsers of `kit core`.
        open_core: finds the core that the arguments name.
    """
    publish = words.add_parser("publish", help="send a file to all kits, or some; nothing waits for it")
    publish.add_argument("file", type=Path, metavar="FILE", help="at most 256 KiB; one of the same name is replaced")
    publish.add_argument("--kind", choices=KINDS, default="file", help="below content/KIND at the kits (default: file)")
    publish.add_argument("--name", default="", metavar="N", help="what it is called there (default: as here)")
    add_kits(publish)
    publish.set_defaults(run=lambda arguments: publish_file(arguments, open_core(arguments)))


def publish_file(arguments: argparse.Namespace, core: Core) -> int:
    """Write the file as a record of bulk; it goes when the air is free."""
    try:
        with arguments.file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{arguments.file} cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{arguments.file} is larger than {MAX_FILE_BYTES} bytes; publish it in parts")
    try:
        body = published_body(PublishedFile(name=arguments.name or arguments.file.name, content=content))
    except PublishedError as error:
        raise UsageError(f"{error}; give it another with --name") from error
    with core.open_store() as store:
        units = units_named(store, arguments.kits)
        record = store.publish(
            kind=arguments.kind, priority=Priority.BULK, body=body, now_ms=core.now_ms(), units=units
        )
        known = len(store.kits()) if units is None else len(units)
    if arguments.json:
        print_json(
            {
                "origin": record.origin,
                "epoch": record.epoch,
                "seq": record.seq,
                "kind": arguments.kind,
                "bytes": len(body),
                "kits": known,
            }
        )
        return 0
    print(f"Published for {kit_count(units, known)}: {len(body)} bytes on the way.")
    print("kit core queue shows which kits have it.")
    return 0
