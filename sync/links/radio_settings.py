"""The settings a radio must have for this link: region, preset, transmitting at all. A new radio has no region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync.links.port import LinkError


@dataclass(frozen=True)
class RadioSettings:
    """What `kit.toml` asks of the radio, in Meshtastic's own names, for example EU_868 and LONG_FAST."""

    region: str
    preset: str

    def differ_from(self, lora: Any) -> str:
        """What the radio's `config.lora` has instead of what is asked; empty if nothing."""
        from sync.links.meshtastic_interface import LoRa

        has_region = LoRa.RegionCode.Name(lora.region)
        has_preset = LoRa.ModemPreset.Name(lora.modem_preset) if lora.use_preset else "no preset"
        if not lora.tx_enabled:
            return "transmitting switched off"
        if (has_region, has_preset) == (self.region, self.preset):
            return ""
        return f"{has_region} and {has_preset}"

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
        interface.localNode.writeConfig("lora")
