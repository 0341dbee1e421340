"""`kit core publish`: files that the city sends to many villages at once."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.cli.core_messages import OpenCore
from kit.cli.core_words import add_kits, kit_count, line, units_named
from kit.cli.output import print_json
from kit.errors import UsageError
from kit.model.published import (
    KINDS,
    LONGEST_BY,
    MAX_FILE_BYTES,
    PublishedError,
    PublishedFile,
    published_body,
    published_from_body,
    tidy,
)
from sync.protocol.records import Priority
from village_apps.app import find_apps

if TYPE_CHECKING:
    from sync.core.setup import Core
    from sync.core.store import CoreStore


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
    publish.add_argument("--by", default="", metavar="NAME", help="who sends it (default: the core's name)")
    add_kits(publish)
    publish.set_defaults(run=lambda arguments: publish_file(arguments, open_core(arguments)))


def publish_file(arguments: argparse.Namespace, core: Core) -> int:
    """Write the file as a record of bulk; it goes when the air is free."""
    by = line(arguments.by, "--by", LONGEST_BY) if arguments.by else tidy(core.settings.core.name)[:LONGEST_BY].strip()
    with core.open_store() as store:
        body = published_body(replace(_file_to_send(arguments, store), by=by))
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
    print("kit core published shows which kits have it, and where it was opened.")
    return 0


def _file_to_send(arguments: argparse.Namespace, store: CoreStore) -> PublishedFile:
    """The file as it is to be sent: as it is, or as the app that shows files of its kind prepares it.

    Raises:
        UsageError: it cannot be read, or is too large, or has no good name.
        KitError: its app cannot show it; the sentence says why.
    """
    prepares = {kind: prepare for app in find_apps() for kind, prepare in app.prepares.items()}
    prepare = prepares.get(arguments.kind)
    try:
        file = prepare(arguments.file, _sent_before(store, arguments.kind)) if prepare else _as_it_is(arguments.file)
        return replace(file, name=_own_name(arguments, file)) if arguments.name else file
    except PublishedError as error:
        raise UsageError(f"{error}; give it another with --name") from error


def _sent_before(store: CoreStore, kind: str) -> list[PublishedFile]:
    found: list[PublishedFile] = []
    for body in store.published(kind):
        with suppress(PublishedError):  # of an older or newer version of this program
            found.append(published_from_body(body))
    return found


def _own_name(arguments: argparse.Namespace, file: PublishedFile) -> str:
    ending = Path(file.name).suffix
    if arguments.kind != "file" and Path(arguments.name).suffix != ending:
        raise UsageError(
            f"--name {arguments.name}: this {arguments.kind} must be called something that ends in {ending}"
        )
    return str(arguments.name)


def _as_it_is(path: Path) -> PublishedFile:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{path} is larger than {MAX_FILE_BYTES} bytes; publish it in parts")
    return PublishedFile(name=path.name, content=content)
