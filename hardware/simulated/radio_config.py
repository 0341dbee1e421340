"""What a simulated radio says about itself, and those of its settings that can be changed.

These are region, preset, hop limit and the primary channel.

Follows the order in which the firmware answers `want_config_id` (`PhoneAPI.cpp`): my_info, own node_info, metadata,
channels, config, moduleConfig, other nodes, config_complete_id. Admin messages to the own node change `config.lora`
the way the official clients do; a change takes effect by a reboot, as on a real radio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshtastic.protobuf import admin_pb2, channel_pb2, config_pb2, mesh_pb2, module_config_pb2, portnums_pb2

from hardware.simulated.air import Tuning
from hardware.simulated.radio_phy import PRESETS

FIRMWARE = "2.7.15.567b8ea"
"""A release that the 2.7.11 library knows; the first one with signed broadcasts is 2.8."""

NODELESS_CONFIG_ID = 69420
"""A client that asks with this nonce wants no other nodes (`SPECIAL_NONCE_ONLY_CONFIG`)."""

CHANNELS = 8
PUBLIC_KEY = b"\x01"
"""Meshtastic's default channel key, by its short form."""
ADMIN_APP: int = portnums_pb2.PortNum.ADMIN_APP
CONFIG_SECTIONS = ("device", "position", "power", "network", "display", "lora", "bluetooth", "security")
MODULE_SECTIONS = (
    "mqtt",
    "serial",
    "external_notification",
    "store_forward",
    "range_test",
    "telemetry",
    "canned_message",
    "audio",
    "remote_hardware",
    "neighbor_info",
    "ambient_lighting",
    "detection_sensor",
    "paxcounter",
)

LoRa = config_pb2.Config.LoRaConfig


@dataclass
class RadioConfig:
    """A radio's flash memory."""

    node: int
    lora: Any
    reboots: int = 0
    channel_name: str = ""
    channel_key: bytes = PUBLIC_KEY
    _edited: Any = None
    _editing: bool = field(default=False)

    @property
    def node_id(self) -> str:
        """The name Meshtastic gives a node number."""
        return f"!{self.node:08x}"

    @property
    def tuning(self) -> Tuning:
        """Region and preset in force."""
        return Tuning(LoRa.RegionCode.Name(self.lora.region), LoRa.ModemPreset.Name(self.lora.modem_preset))

    @property
    def tx_enabled(self) -> bool:
        """A radio without a region does not transmit."""
        return bool(self.lora.tx_enabled) and self.lora.region != LoRa.RegionCode.UNSET

    def administer(self, packet: Any) -> tuple[Any | None, bool]:
        """Do what an admin message to this radio asks; returns the answer, if it wants one, and whether to reboot."""
        asked = admin_pb2.AdminMessage.FromString(packet.decoded.payload)
        kind = asked.WhichOneof("payload_variant")
        if kind == "get_config_request":
            answer = admin_pb2.AdminMessage()
            answer.get_config_response.lora.CopyFrom(self.lora)
            return self._answer(packet, answer), False
        if kind == "begin_edit_settings":
            self._editing = True
        elif kind == "set_config" and asked.set_config.HasField("lora"):
            if LoRa.ModemPreset.Name(asked.set_config.lora.modem_preset) in PRESETS:
                self._edited = asked.set_config.lora
            return None, not self._editing and self._commit()
        elif kind == "set_channel" and asked.set_channel.index == 0:
            self.channel_name, self.channel_key = asked.set_channel.settings.name, asked.set_channel.settings.psk
            return None, False
        elif kind == "commit_edit_settings":
            self._editing = False
            return None, self._commit()
        return None, kind == "reboot_seconds"

    def _commit(self) -> bool:
        changed = self._edited is not None and self._edited != self.lora
        if changed:
            self.lora.CopyFrom(self._edited)
        self._edited = None
        return changed

    def _answer(self, packet: Any, message: Any) -> Any:
        answer = mesh_pb2.MeshPacket(to=getattr(packet, "from") or self.node, id=packet.id ^ 0x55555555)
        setattr(answer, "from", self.node)
        answer.decoded.portnum = ADMIN_APP
        answer.decoded.payload = message.SerializeToString()
        answer.decoded.request_id = packet.id
        return answer


def new_config(number: int, *, region: str, preset: str) -> RadioConfig:
    """A radio as it comes out of the box, but for region and preset."""
    lora = LoRa(
        use_preset=True,
        modem_preset=LoRa.ModemPreset.Value(preset),
        region=LoRa.RegionCode.Value(region),
        hop_limit=3,
        tx_enabled=True,
        tx_power=27,
        sx126x_rx_boosted_gain=True,
    )
    return RadioConfig(node=0x51A00000 + number, lora=lora)


def describe(config: RadioConfig, others: Sequence[RadioConfig], nonce: int) -> Iterator[Any]:
    """The FromRadio messages that answer `want_config_id`."""
    yield mesh_pb2.FromRadio(
        my_info=mesh_pb2.MyNodeInfo(
            my_node_num=config.node, reboot_count=config.reboots, min_app_version=30200, nodedb_count=1 + len(others)
        )
    )
    yield mesh_pb2.FromRadio(node_info=_node_info(config))
    yield mesh_pb2.FromRadio(
        metadata=mesh_pb2.DeviceMetadata(
            firmware_version=FIRMWARE, device_state_version=24, hasWifi=True, hw_model=mesh_pb2.HardwareModel.PORTDUINO
        )
    )
    yield from _channels(config)
    yield from _settings(config)
    if nonce != NODELESS_CONFIG_ID:
        for other in others:
            yield mesh_pb2.FromRadio(node_info=_node_info(other))
    yield mesh_pb2.FromRadio(config_complete_id=nonce)


def _node_info(config: RadioConfig) -> Any:
    user = mesh_pb2.User(
        id=config.node_id,
        long_name=f"Simulated radio {config.node_id[-4:]}",
        short_name=config.node_id[-4:],
        hw_model=mesh_pb2.HardwareModel.PORTDUINO,
    )
    return mesh_pb2.NodeInfo(num=config.node, user=user)


def _channels(config: RadioConfig) -> Iterator[Any]:
    for index in range(CHANNELS):
        channel = channel_pb2.Channel(index=index)
        if index == 0:
            channel.role = channel_pb2.Channel.Role.PRIMARY
            channel.settings.name, channel.settings.psk = config.channel_name, config.channel_key
        yield mesh_pb2.FromRadio(channel=channel)


def _settings(config: RadioConfig) -> Iterator[Any]:
    for section in CONFIG_SECTIONS:
        settings = config_pb2.Config()
        getattr(settings, section).SetInParent()
        if section == "lora":
            settings.lora.CopyFrom(config.lora)
        yield mesh_pb2.FromRadio(config=settings)
    for section in MODULE_SECTIONS:
        module = module_config_pb2.ModuleConfig()
        getattr(module, section).SetInParent()
        yield mesh_pb2.FromRadio(moduleConfig=module)
