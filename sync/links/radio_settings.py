"""The settings a radio must have for this link: region, preset, hop limit, channel, transmitting at all.

A new radio has no region. The channel's name decides on which frequency of the band a radio sends, so both ends need
the same. Its key is Meshtastic's public one, because frames are sealed already and other radios may then repeat them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync.links.port import LinkError

PUBLIC_KEY = b"\x01"
"""Meshtastic's default channel key, by its short form."""
MAX_CHANNEL_NAME_BYTES = 11
MAX_HOPS = 7


@dataclass(frozen=True)
class RadioSettings:
    """What `kit.toml` asks of the radio, in Meshtastic's own names, for example EU_868 and LONG_FAST.

    Attributes:
        region: sets the band.
        preset: sets the modem.
        hop_limit: how often other radios may repeat a packet, 0 to 7.
        channel: name of the primary channel; "" = Meshtastic's default, named after the preset.

    Raises:
        LinkError: one of them cannot be set on any radio.
    """

    region: str
    preset: str
    hop_limit: int = 3
    channel: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.hop_limit <= MAX_HOPS:
            raise LinkError(f"[links.lora] hop_limit = {self.hop_limit} is not possible; a radio takes 0 to {MAX_HOPS}")
        if len(self.channel.encode()) > MAX_CHANNEL_NAME_BYTES:
            raise LinkError(
                f'[links.lora] channel = "{self.channel}" is too long; a channel\'s name has at most '
                f"{MAX_CHANNEL_NAME_BYTES} bytes"
            )

    def differ_from(self, lora: Any, channel: Any) -> str:
        """What the radio's `config.lora` and primary channel have instead of what is asked; empty if nothing."""
        from sync.links.meshtastic_interface import LoRa

        has_region = LoRa.RegionCode.Name(lora.region)
        has_preset = LoRa.ModemPreset.Name(lora.modem_preset) if lora.use_preset else "no preset"
        if not lora.tx_enabled:
            return "transmitting switched off"
        if (has_region, has_preset) != (self.region, self.preset):
            return f"{has_region} and {has_preset}"
        if int(lora.hop_limit) != self.hop_limit:
            return f"hop limit {lora.hop_limit}"
        if channel is not None and not self._is_ours(channel):
            return f'channel "{channel.settings.name}"' if channel.settings.name != self.channel else "a channel key"
        return ""

    def asked(self) -> str:
        """For people."""
        channel = f', channel "{self.channel}"' if self.channel else ""
        return f"{self.region} and {self.preset}, hop limit {self.hop_limit}{channel}"

    def write_to(self, interface: Any) -> None:
        """Ask the radio to change; it restarts afterwards.

        Raises:
            LinkError: the region or the preset has no such name.
        """
        from sync.links.meshtastic_interface import LoRa

        lora = interface.localNode.localConfig.lora
        try:
            lora.region = LoRa.RegionCode.Value(self.region)
            lora.modem_preset = LoRa.ModemPreset.Value(self.preset)
        except ValueError as error:
            raise LinkError(
                f"the radio knows no region {self.region} or no preset {self.preset}; "
                f'[links.lora] takes for example region = "EU_868" and preset = "LONG_FAST"'
            ) from error
        lora.use_preset = True
        lora.tx_enabled = True
        lora.hop_limit = self.hop_limit
        node, channel = interface.localNode, primary_channel(interface)
        if channel is not None and not self._is_ours(channel):
            channel.settings.name, channel.settings.psk = self.channel, PUBLIC_KEY
            node.writeChannel(channel.index)
        node.writeConfig("lora")

    def _is_ours(self, channel: Any) -> bool:
        return bool(channel.settings.name == self.channel and channel.settings.psk == PUBLIC_KEY)


def primary_channel(interface: Any) -> Any:
    """The radio's primary channel; None while it has not told its channels."""
    return next(iter(interface.localNode.channels or []), None)
