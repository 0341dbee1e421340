"""What a message and a batch of readings become at other store-and-forward systems, in bytes handed to the link.

- **This kit**: sealed frames, as two engines exchange them by radio, and the bundle for a USB stick.
- **NNCP** (Debian's `nncp`): encrypted and signed packets, as `nncp-exec` and `nncp-file` put them into the spool,
  without padding (the default) and with the least there is. Its own way online, `nncp-daemon` and `nncp-call`, is a
  dialogue over TCP and cannot go by LoRa; so the packet is taken as it is, cut into frames at no cost, over an air that
  loses nothing and without acknowledgement. That is kinder to NNCP than anything that exists.
- **BPv7** (pyD3TN, of µD3TN; RFC 9171): a bundle of the same payload with its default CRCs, neither encrypted nor
  signed, cut likewise. BPSec would come on top.

All get the payload as the kit packs it; NNCP also the plain text, which it compresses itself.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_sync import TEXTS, letter, settle
from sync_world import NOON_S, air_world

from kit.model.batch import encode_batch
from kit.model.readings import Reading
from sync.bundles.exchange import Exchange
from sync.bundles.shelf import Stick
from sync.protocol.airtime import frame_airtime_ms
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.peers import Peer, Role

PRESET = "LONG_FAST"
READINGS, DRAWS = 100, 5
PADDED_KIB = 1


@dataclass(frozen=True)
class Payload:
    """Something to be carried: as the kit packs it, and as anybody would write it down."""

    name: str
    kind: str
    priority: int
    packed: bytes
    plain: bytes


@dataclass(frozen=True)
class Carried:
    """What it takes, the median of some payloads: bytes for the link, LoRa frames (0 = by hand), s of LongFast."""

    size: float
    frames: float
    airtime_s: float


def payloads() -> dict[str, list[Payload]]:
    """Three messages of 140 characters; five batches of a hundred rows of temperature and humidity."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from village_draws import draw_batch

    messages = [Payload("message", "message", 2, letter(text), text.encode()) for text in TEXTS]
    batches = []
    for seed in range(DRAWS):
        rows = draw_batch(seed, fine=False)
        told = [
            Reading(device=row.sensor, quantity=quantity, unit=unit, time_ms=row.time_s * 1000, value=value)
            for row in rows
            for quantity, unit, value in (
                ("temperature", "Cel", row.temperature_c),
                ("humidity", "%RH", row.humidity_pct),
            )
        ]
        lines = [f"{r.time_s},{r.sensor},{r.temperature_c:g},{r.humidity_pct:g}\n" for r in rows]
        batches.append(Payload("batch", "readings", 4, encode_batch(told), "".join(lines).encode()))
    return {"a message of 140 characters": messages, f"{READINGS} rows of temperature and humidity": batches}


def cut(sizes: Sequence[int]) -> Carried:
    """These, one after the other, in frames as full as they can be."""
    frames = [min(LORA_FRAME_BYTES, size - at) for size in sizes for at in range(0, size, LORA_FRAME_BYTES)]
    return Carried(sum(sizes), len(frames), sum(frame_airtime_ms(each, PRESET) for each in frames) / 1000.0)


def median(told: Sequence[Carried]) -> Carried:
    """Of each number for itself."""
    return Carried(
        statistics.median(each.size for each in told),
        statistics.median(each.frames for each in told),
        statistics.median(each.airtime_s for each in told),
    )


def by_radio(home: Path, payload: Payload) -> tuple[Carried, Carried]:
    """Frames of the kit and of the core, in a conversation that has begun."""
    with air_world(home, preset=PRESET, loss=0.0) as world:
        settle(world)
        world.kit.write(world.clock, body=letter("Good morning"), kind="message", priority=2)
        world.live(120.0, until=lambda: world.kit.waiting == 0)
        settle(world)
        before = len(world.kit.link.frames), len(world.core.link.frames)
        world.kit.write(world.clock, body=payload.packed, kind=payload.kind, priority=payload.priority)
        world.live(600.0, until=lambda: world.kit.waiting == 0)
        settle(world)
        assert world.kit.waiting == 0
        assert world.core.taken == 2
        return cut(world.kit.link.frames[before[0] :]), cut(world.core.link.frames[before[1] :])


def by_stick(home: Path, payload: Payload) -> Carried:
    """The bundle on a USB stick."""
    with air_world(home, preset=PRESET, loss=0.0) as world:
        world.kit.write(world.clock, body=payload.packed, kind=payload.kind, priority=payload.priority)
        core = Peer(
            unit=world.core.name, link_id=7, exchange_public=world.core.identity.exchange_public, role=Role.CORE
        )
        exchange = Exchange(
            unit=world.kit.name, exchange_private=world.kit.identity.exchange_private, store=world.kit.store,
            peers=[core], now_ms=int(NOON_S) * 1000, trusted=True, random=bytes,
        )  # fmt: skip
        (home / "stick").mkdir()
        exchange.put_on(Stick(home / "stick"))
        return Carried(sum(file.stat().st_size for file in (home / "stick").rglob("*.bp7")), 0, 0.0)


def bpv7_peers(payload: Payload) -> dict[str, Carried]:
    """A bundle as pyD3TN makes it; nothing where it is not installed."""
    try:
        from pyd3tn import bundle7
    except ImportError:
        return {}
    made = bundle7.serialize_bundle7("dtn://kit-orchard/sync", "dtn://core-city/sync", payload.packed)
    return {"BPv7 (pyD3TN), neither sealed nor signed": cut([len(made)])}


class Nncp:
    """Two nodes that know each other's keys.

    Args:
        home: an empty directory.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(parents=True)
        configs = {name: self._run("nncp-cfgnew", "-nocomments").decode() for name in ("kit", "core")}
        for name, other in (("kit", "core"), ("core", "kit")):
            keys = {
                key: self._found(rf"{key}: (\S+)", configs[other].partition("self:")[2])
                for key in ("id", "exchpub", "signpub", "noisepub")
            }
            lines = "".join(f"    {key}: {value}\n" for key, value in keys.items())
            known = f'neigh: {{\n  {other}: {{\n{lines}    exec: {{letter: ["/bin/cat"]}}\n  }}\n'
            text = configs[name].replace("neigh: {", known, 1).replace("/var/spool/nncp", str(home / name))
            (home / f"{name}.hjson").write_text(text, encoding="utf-8")
            (home / name).mkdir()

    def exec(self, body: bytes, *options: str) -> int:
        """Bytes of the packet that `nncp-exec` makes."""
        return self._size("nncp-exec", options, "core", "letter", body=body)

    def file(self, body: bytes) -> int:
        """Bytes of the packet that `nncp-file` makes."""
        source = self._home / "body"
        source.write_bytes(body)
        return self._size("nncp-file", (), str(source), "core:body")

    def _size(self, command: str, options: Sequence[str], *words: str, body: bytes = b"") -> int:
        before = self._packets()
        self._run(command, "-cfg", str(self._home / "kit.hjson"), "-quiet", "-noprogress", *options, *words, body=body)
        (made,) = self._packets() - before
        return made.stat().st_size

    def _packets(self) -> set[Path]:
        # a node's name is a link to its id
        return {file.resolve() for file in (self._home / "kit").glob("*/tx/*") if file.is_file()}

    @staticmethod
    def _run(*command: str, body: bytes = b"") -> bytes:
        return subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True, timeout=60).stdout

    @staticmethod
    def _found(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match is not None, f"NNCP's new configuration has no {pattern}"
        return match[1]


def nncp_peers(nncp: Nncp, payload: Payload) -> dict[str, Carried]:
    """The ways in which NNCP would take it."""
    return {
        "NNCP, nncp-exec": cut([nncp.exec(payload.packed, "-nocompress")]),
        "NNCP, nncp-exec of the plain text": cut([nncp.exec(payload.plain)]),
        "NNCP, nncp-file": cut([nncp.file(payload.packed)]),
        f"NNCP, padded to {PADDED_KIB} KiB": cut(
            [nncp.exec(payload.packed, "-nocompress", "-minsize", str(PADDED_KIB))]
        ),
    }


def carried_by_all(home: Path) -> dict[str, dict[str, Carried]]:
    """For each kind of payload, each peer's."""
    nncp = Nncp(home / "nncp") if shutil.which("nncp-exec") and shutil.which("nncp-cfgnew") else None
    told: dict[str, dict[str, Carried]] = {}
    for title, some in payloads().items():
        rows: dict[str, list[Carried]] = {}
        for number, payload in enumerate(some):
            at = home / f"{payload.name}-{number}"
            frames, answers = by_radio(at / "radio", payload)
            mine = {
                "this kit, sealed frame": frames,
                "this kit, its acknowledgement": answers,
                "this kit, bundle on a stick": by_stick(at / "stick", payload),
            }
            theirs = nncp_peers(nncp, payload) if nncp is not None else {}
            for name, each in {**mine, **bpv7_peers(payload), **theirs}.items():
                rows.setdefault(name, []).append(each)
        told[title] = {name: median(each) for name, each in rows.items()}
    return told


def missing() -> list[str]:
    """A sentence for each peer that is not installed."""
    sentences = []
    if shutil.which("nncp-exec") is None:
        sentences.append("NNCP is left out: `nncp-exec` is not installed (Debian: apt-get install nncp)")
    try:
        import pyd3tn  # noqa: F401 - only whether it is there
    except ImportError:
        sentences.append("BPv7 is left out: pyD3TN is not installed (script/bootstrap dev installs it)")
    return sentences


def lines_of(told: dict[str, dict[str, Carried]]) -> Iterator[str]:
    """Tables in Markdown."""
    for title, rows in told.items():
        yield ""
        yield f"| {title} | bytes for the link | frames of {LORA_FRAME_BYTES} | LongFast, nothing lost |"
        yield "|---|---|---|---|"
        for name, each in rows.items():
            by_air = "by hand |" if each.frames == 0 else f"{each.frames:.0f} | {each.airtime_s:.2f} s"
            yield f"| {name} | {each.size:.0f} | {by_air} |"
