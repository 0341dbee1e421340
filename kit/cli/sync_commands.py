"""`kit sync`: tools around the thin-link sync."""

from __future__ import annotations

import argparse

from kit.cli.pack_command import add_pack


def add_sync_commands(parser: argparse.ArgumentParser) -> None:
    """`kit sync pack FILE`."""
    words = parser.add_subparsers(metavar="pack")
    add_pack(words.add_parser("pack", help="what measurements cost on a thin link, and that they come back"))
