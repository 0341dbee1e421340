"""`kit sync`: the kit's keys for its core, and tools around the thin-link sync."""

from __future__ import annotations

import argparse

from kit.cli.pack_command import add_pack
from kit.cli.rotate_command import add_rotate_keys


def add_sync_commands(parser: argparse.ArgumentParser) -> None:
    """`kit sync pack FILE`, `kit sync rotate-keys`."""
    words = parser.add_subparsers(metavar="pack|rotate-keys")
    add_pack(words.add_parser("pack", help="what measurements cost on a thin link, and that they come back"))
    add_rotate_keys(words.add_parser("rotate-keys", help="new keys for this kit, told to the city core"))
