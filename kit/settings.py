"""`kit.toml`, parsed once into frozen dataclasses.

A setting exists exactly once, below, with its default and the sentence that documents it; `kit init` and
docs/settings.md are made from these. What is not known is refused with the nearest match, because a misspelt
threshold that is silently ignored costs a harvest.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from kit.errors import SettingsError


def setting(default: Any, doc: str) -> Any:
    """A setting with its default value and the sentence that explains it."""
    return field(default=default, metadata={"doc": doc})


def section(kind: type, doc: str) -> Any:
    """A table of settings with the sentence that explains it."""
    return field(default_factory=kind, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class UnitSettings:
    """Where and what this unit is."""

    name: str = setting("Village kit", "The name people see at the top of every page.")
    area: str = setting("village", "Short name of the area that warnings are for; the MQTT topic is alerts/<area>.")
    languages: tuple[str, ...] = setting(("en", "sw"), "Languages offered on the pages, the usual one first.")
    timezone: str = setting("Africa/Nairobi", "The village's time zone, as in the IANA list.")
    latitude: float = setting(-0.37, "Degrees north of the equator; south is negative.")
    longitude: float = setting(36.32, "Degrees east of Greenwich; west is negative.")
    elevation_m: float = setting(2370.0, "Metres above sea level.")


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """The pages for phones."""

    listen: str = setting("0.0.0.0:8080", "Address and port of the pages.")
    threads: int = setting(8, "How many requests are answered at once.")


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """Where sensors publish."""

    listen: str = setting("0.0.0.0:1883", "Address and port of the kit's own MQTT broker.")
    tls_listen: str = setting(
        "", 'Address and port for devices that can encrypt, usually "0.0.0.0:8883"; empty = none.'
    )
    tls_names: tuple[str, ...] = setting(
        (), "Names and addresses of this unit besides its own that its certificate is to speak for."
    )
    websocket: str = setting(
        "", 'Address and port for MQTT in browsers (WebSocket), for example "0.0.0.0:8083"; empty = none.'
    )
    open_listen: str = setting(
        "",
        "Address and port for devices that cannot use a password; empty = off, because anybody in the network can "
        "pretend to be one of them. They wait for a person, publish only their own topics, and are marked.",
    )
    kind: str = setting(
        "own", '"own" = the kit\'s durable broker; "external" = an existing Mosquitto (weaker promise).'
    )
    external: str = setting("127.0.0.1:1883", 'Address and port of the existing broker when kind is "external".')
    external_username: str = setting("", "User name at the existing broker.")
    external_password_file: str = setting("", "File that holds the password at the existing broker.")


@dataclass(frozen=True, kw_only=True)
class RetentionSettings:
    """How long readings are kept."""

    raw_days: int = setting(
        550, "Days for which every reading is kept; then its hour and day stand for it. 0 = for ever."
    )
    hourly_days: int = setting(
        3650, "Days for which hourly minimum, mean and maximum are kept; daily ones are for ever. 0 = for ever."
    )


@dataclass(frozen=True, kw_only=True)
class FrostSettings:
    """The frost warning."""

    threshold_c: float = setting(
        0.0, "Warn when the air at the sensor may fall to this temperature, in degrees Celsius."
    )
    warn_probability: float = setting(0.35, "Warn when the chance of reaching the threshold is at least this (0 to 1).")
    device: str = setting(
        "",
        "The sensor whose air temperature is forecast, NAME or NAME:LABEL of one of its probes; empty = the best one "
        "with a password (`kit status` says which).",
    )


@dataclass(frozen=True, kw_only=True)
class SirenSettings:
    """What wakes the village."""

    driver: str = setting(
        "none", '"none", "simulated", "gpio:17" for a relay on that GPIO pin, or "mqtt:NAME" for a device.'
    )
    sound_s: float = setting(60.0, "How long the siren sounds for one warning, in seconds.")


@dataclass(frozen=True, kw_only=True)
class PowerSettings:
    """The battery."""

    driver: str = setting("none", '"none", "simulated", or "sysfs" for a battery the kernel knows.')


@dataclass(frozen=True, kw_only=True)
class ClockSettings:
    """Who may tell the kit the time, beside the network, the core and people."""

    gps: str = setting("none", '"none", "simulated", or "gpsd:127.0.0.1:2947" for a receiver behind gpsd.')
    ask_phones: bool = setting(
        True,  # noqa: FBT003 - a default, named by the line it stands on
        "Ask people on the first page for their phone's time while the kit has none.",
    )


@dataclass(frozen=True, kw_only=True)
class BackupSettings:
    """Copies of everything, encrypted."""

    hour: int = setting(2, "The hour of the nightly backup, in the village's time zone (0 to 23).")
    folder: str = setting("", "Where nightly backups go, best a second partition; empty = backups/ in the home.")
    keep: int = setting(3, "How many nightly backups are kept; the oldest go first; 0 = none is made.")
    stick: str = setting("KIT-BACKUP", "A USB stick with this label gets a backup when it is plugged in; empty = none.")


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The Meshtastic radio."""

    radio: str = setting("", '"tcp:HOST:PORT", "serial:/dev/ttyUSB0" or "simulated"; empty = no radio.')
    region: str = setting("EU_868", "The radio region, which sets the duty cycle.")
    preset: str = setting("LONG_FAST", "The modem preset, which sets the air time.")
    channel: str = setting("", "The radio's primary channel, at most 11 letters; empty = named after the preset.")
    hop_limit: int = setting(3, "How many times other radios may repeat a packet (0 to 7).")
    lowest_priority: int = setting(4, "Records of a lower priority (larger number) wait for another link.")
    telemetry: bool = setting(
        True,  # noqa: FBT003 - a setting's default
        "Whether what other nodes of the mesh measure becomes readings. Whoever has the channel's key can send them, "
        "so they are marked like those of devices without a password.",
    )


@dataclass(frozen=True, kw_only=True)
class CellularSettings:
    """The link over the mobile network."""

    core: str = setting("", 'The city core\'s address, "tcp://HOST:PORT"; empty = as the invite said.')
    https: str = setting(
        "auto",
        'The way when that port is blocked: "https://HOST:PORT", "auto" = the core\'s host at 443 and 7443, "" = none.',
    )
    daily_bytes: int = setting(
        0, "What the mobile network may cost in a day, in bytes; alarms and receipts always go. 0 = no limit."
    )
    modem: str = setting(
        "always", '"always" = the network is simply there; "simulated" = up and down as the simulation says.'
    )


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """The ways to the city core."""

    lora: LoraSettings = section(LoraSettings, "The LoRa radio.")
    cellular: CellularSettings = section(CellularSettings, "The mobile network.")


@dataclass(frozen=True, kw_only=True)
class SyncSettings:
    """What a kit does for other villages."""

    carry_for_others: bool = setting(
        True,  # noqa: FBT003 - the default itself
        "Hand on, unread, what other kits send by radio, while this one has a wider link; and bring the answers back.",
    )
    carry_daily_bytes: int = setting(500_000, "At most so many bytes a day are carried for others.")


@dataclass(frozen=True, kw_only=True)
class StickSettings:
    """USB sticks that carry records."""

    driver: str = setting("usb", '"usb" = sticks at this machine; "simulated"; "none" = nothing happens by itself.')
    label: str = setting("VILLAGE-KIT", "A stick whose file system has this label is read and filled when plugged in.")


@dataclass(frozen=True, kw_only=True)
class CoreLinkSettings:
    """The core's own ways to its kits."""

    lora: LoraSettings = section(LoraSettings, "The core's LoRa radio.")


@dataclass(frozen=True, kw_only=True)
class CoreSettings:
    """The city core (only in a core's home)."""

    name: str = setting("City core", "The name shown at the top of the core's page.")
    listen: str = setting("0.0.0.0:7450", "Address and port where kits connect over the mobile network.")
    https: str = setting("0.0.0.0:7443", 'Where kits connect whose network blocks that port; "" = nowhere.')
    web: str = setting("0.0.0.0:8090", "Address and port of the core's page.")
    public: str = setting("", 'The address that kits should use, "tcp://HOST:PORT"; it is written into invites.')
    store: str = setting("", '"sqlite:PATH"; empty = core.db in the core\'s home.')
    links: CoreLinkSettings = section(CoreLinkSettings, "The core's radios.")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one home."""

    unit: UnitSettings = section(UnitSettings, "Where and what this unit is.")
    web: WebSettings = section(WebSettings, "The pages for phones.")
    broker: BrokerSettings = section(BrokerSettings, "Where sensors publish.")
    retention: RetentionSettings = section(RetentionSettings, "How long readings are kept.")
    frost: FrostSettings = section(FrostSettings, "The frost warning.")
    siren: SirenSettings = section(SirenSettings, "What wakes the village.")
    power: PowerSettings = section(PowerSettings, "The battery.")
    clock: ClockSettings = section(ClockSettings, "Who may tell the kit the time.")
    backup: BackupSettings = section(BackupSettings, "Copies of everything, encrypted.")
    links: LinkSettings = section(LinkSettings, "The ways to the city core.")
    sync: SyncSettings = section(SyncSettings, "What a kit does for other villages.")
    sticks: StickSettings = section(StickSettings, "USB sticks that carry records.")
    core: CoreSettings = section(CoreSettings, "The city core (only in a core's home).")


def load_settings(file: Path) -> Settings:
    """Read `kit.toml`; a missing file means every default.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or holds a key or value the kit does not know.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    return parse_settings(text, source=str(file))


def parse_settings(text: str, *, source: str) -> Settings:
    """Parse the text of a `kit.toml`; `source` names it in errors.

    Raises:
        SettingsError: as `load_settings`.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} is not valid TOML: {error}; text values need quotes") from error
    parsed: Settings = _build(Settings, tables, source=source, path=())
    return parsed


def settings_as_toml(values: Settings | None = None) -> str:
    """A commented `kit.toml` with every setting, commented out where it is at its default."""
    values = Settings() if values is None else values
    return "\n".join(_toml_lines(values, Settings(), ())).strip() + "\n"


def describe_settings() -> list[tuple[str, str, Any, str]]:
    """Every setting as (table, key, default, sentence), in the order of the file."""
    return list(_walk(Settings(), ()))


def listen_address(text: str, *, key: str) -> tuple[str, int]:
    """Split `HOST:PORT` (or `tcp://HOST:PORT`).

    Raises:
        SettingsError: there is no port in it.
    """
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:  # noqa: PLR2004 - the largest port
        raise SettingsError(f'{key} = "{text}" is not HOST:PORT; for example "0.0.0.0:8080"')
    return host.strip("[]"), int(port)


def _build(kind: type, table: Mapping[str, Any], *, source: str, path: tuple[str, ...]) -> Any:
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise SettingsError(_unknown_key(key, list(known), source=source, path=path))
        values[key] = _convert(known[key], value, source=source, path=(*path, key))
    return kind(**values)


def _unknown_key(key: str, known: list[str], *, source: str, path: tuple[str, ...]) -> str:
    import difflib  # where nothing is misspelt, nobody waits for it

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else f"; it has {', '.join(known)}"
    where = f"[{'.'.join(path)}]" if path else "the file"
    return f"{source}: {where} has no setting '{key}'{hint}"


def _convert(kind: Any, value: Any, *, source: str, path: tuple[str, ...]) -> Any:
    name = ".".join(path)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{source}: '{name}' is a table; write [{name}] on a line of its own")
        return _build(kind, value, source=source, path=path)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if not isinstance(value, list):
            raise SettingsError(f'{source}: {name} takes a list, for example {name} = ["en", "sw"]')
        return tuple(_convert(inner, item, source=source, path=path) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, types.UnionType) or not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        wanted = {str: 'text in quotes, like "abc"', int: "a whole number", float: "a number", bool: "true or false"}
        raise SettingsError(f"{source}: {name} takes {wanted.get(kind, kind)}, not {value!r}")
    return value


def _walk(values: Any, path: tuple[str, ...]) -> Any:
    for item in fields(values):
        value = getattr(values, item.name)
        if is_dataclass(value):
            yield from _walk(value, (*path, item.name))
        else:
            yield ".".join(path), item.name, value, item.metadata["doc"]


def _toml_lines(values: Any, defaults: Any, path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    tables: list[str] = []
    for item in fields(values):
        value, default = getattr(values, item.name), getattr(defaults, item.name)
        if is_dataclass(value):
            name = ".".join((*path, item.name))
            tables += ["", f"# {item.metadata['doc']}", f"[{name}]", *_toml_lines(value, default, (*path, item.name))]
        else:
            lines += [f"# {item.metadata['doc']}", f"{'# ' if value == default else ''}{item.name} = {_toml(value)}"]
    return lines + tables


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
