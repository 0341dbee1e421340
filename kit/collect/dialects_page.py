"""docs/dialects.md, written from the dialects themselves: `python -m kit.collect.dialects_page > docs/dialects.md`."""

from __future__ import annotations

import sys

from kit.collect.dialects import GROUP, OWN
from kit.collect.dialects.port import Access, Dialect

_ACCESS = Access("192.168.4.1", 1883, "NAME", "the password")

_HEAD = """# Dialects: what plugs in as it is sold

Written by `python -m kit.collect.dialects_page`; a test says whether it is current.

Bring the device, run `kit device add NAME --kind KIND`, and type what is printed into the device's own settings page.
There is no configuration file for it on the kit's side. Or type nothing but the join code that the technician's screen
shows, and let the device in from there: see [sensors.md](sensors.md#onboarding).

- **Credentials carry topics.** What a device may publish and read is written down when it is let in, from the table of
  its kind below, and the broker looks at nothing else. *Own* topics are kept if retained and handed to subscribers.
  *Heard* topics (announcements, discovery) the kit reads and hands to nobody, so that no device can speak there for
  another. Everything else closes the connection.
- **A gateway speaks for its own devices and no others.** Their readings are named `gateway/device`; at most 250.
- **Units** are converted to the kit's own (°F, kPa, mph, kWh …), and what the device said is kept beside it:
  see [sensors.md](sensors.md#what-to-send).
- **A device that cannot be told its topics** is added with them: `kit device add NAME --kind KIND --topic BASE`.
- A value that is missing where a number belongs (`null`, `nan`) is counted for its device as `ignored`, with the name
  of the probe; a message that cannot be read is kept with the sentence that says why.

| kind | what is sold under it |
|---|---|
"""

_TAIL = f"""
## A new dialect

A module that keeps to `kit.collect.dialects.port.Dialect` (a topic and bytes in, observations or a `DialectError` out,
nothing else; `BelowPrefix` beside it has the topics of devices that say everything below one of their own), named by an
entry point of your own package:

    [project.entry-points."{GROUP}"]
    mymaker = "my_package.mymaker:DIALECT"

After it is installed beside the kit, `kit device kinds` lists it. A package that cannot be loaded, or takes a kind that
is there already, is left out; `kit device kinds` says why. Units and times are the dialect's to tell and the kit's to
judge; what it has to remember between messages it returns as `learned`, and gets back as `known`, after a restart,
too. A dialect whose devices send much may also read many messages at once (`ReadsRuns` beside `Dialect`).
`tests/collect/test_dialects_fuzzed.py` shows what it must survive.
"""


def dialects_page() -> str:
    """The page, from the kit's own dialects."""
    rows = "".join(f"| [`{dialect.name}`](#{dialect.name}) | {dialect.guide.what} |\n" for dialect in OWN)
    return _HEAD + rows + "".join(map(_section, OWN)) + _TAIL


def _section(dialect: Dialect) -> str:
    guide, base = dialect.guide, dialect.base("NAME")
    grants = dialect.grants(base)
    settings = dialect.settings(base, _ACCESS)
    width = max(len(setting.label) for setting in settings)
    lines = [
        f'\n<a id="{dialect.name}"></a>\n## {guide.title}',
        f"\n`kit device add NAME --kind {dialect.name}`. For {guide.what}.",
        f"\nType into {guide.where}:\n",
        *(f"    {setting.label:<{width}}  {setting.value}" for setting in settings),
        f"\n- Read: {guide.reads}.",
        *([f"- The devices behind it: {guide.parts}."] if guide.parts else []),
        f"- Own topics: {_filters(grants.publish)}"
        + (f"; heard: {_filters(grants.hear)}" if grants.hear else "")
        + f"; may read: {_filters(grants.read)}.",
        *(f"- {note}" for note in guide.notes),
        f"- Specified at {', '.join(f'<{source}>' for source in guide.sources)}.",
    ]
    return "\n".join(lines) + "\n"


def _filters(filters: tuple[str, ...]) -> str:
    return ", ".join(f"`{wanted}`" for wanted in filters)


if __name__ == "__main__":
    sys.stdout.write(dialects_page())
