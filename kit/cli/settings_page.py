"""docs/settings.md, written from the settings themselves (`python -m kit.cli.settings_page > docs/settings.md`).

A test holds the file against this, so a setting cannot be added without its line.
"""

from __future__ import annotations

from typing import Any

from kit.settings import describe_settings

HEAD = """# Settings

All settings stand in `kit.toml` in the unit's home directory. `kit init` writes one with every setting in it,
commented out at its default; a setting that is not there has its default. A name the kit does not know is refused with
the nearest one it does: a misspelt threshold must not be silently ignored. Restart the unit after a change.

<!-- Written by `python -m kit.cli.settings_page > docs/settings.md`; do not edit by hand. -->
"""


def settings_page() -> str:
    """The page in Markdown."""
    lines = [HEAD.rstrip()]
    table = None
    for name, key, default, sentence in describe_settings():
        if name != table:
            table = name
            lines += ["", f"## [{name}]", "", "| setting | default | what it means |", "|---|---|---|"]
        lines.append(f"| `{key}` | `{_default(default)}` | {sentence.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_default(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(settings_page(), end="")
