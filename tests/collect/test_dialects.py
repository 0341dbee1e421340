"""What real devices say becomes the readings they meant, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from captured import CAPTURES, Capture, Value

from kit.collect.dialects import OWN, dialects, recognise
from kit.collect.dialects.port import Access, Dialect, DialectError, Heard, Observation, Parsed

ACCESS = Access("10.0.0.1", 1883, "gate", "secret")
Speech = tuple[str, bytes | str]


def _below(dialect: Dialect, base: str, topic: str) -> str | None:
    for wanted in dialect.grants(base).publish:
        own = wanted.removesuffix("/#")
        if topic == own or topic.startswith(own + "/"):
            return topic[len(own) + 1 :]
    return None


def listen(kind: str, base: str, *messages: Speech) -> list[Parsed]:
    """A device's messages, read one after the other, as ingest does it."""
    dialect, known = dialects()[kind], dict[str, str]()
    parsed = []
    for topic, told in messages:
        payload = told.encode() if isinstance(told, str) else told
        parsed.append(dialect.parse(Heard(topic, payload, _below(dialect, base, topic), base, known)))
        known |= parsed[-1].learned
        known = {key: value for key, value in known.items() if value}
    return parsed


def observations(kind: str, base: str, *messages: Speech) -> list[Observation]:
    return [seen for parsed in listen(kind, base, *messages) for seen in parsed.observations]


def values(kind: str, base: str, *messages: Speech) -> Mapping[str, float]:
    return {seen.quantity: seen.value for seen in observations(kind, base, *messages)}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: f"{capture.kind}: {capture.device}")
def test_a_real_device_is_understood(capture: Capture) -> None:
    seen = observations(capture.kind, capture.base, *capture.messages)
    assert {
        Value(o.part, o.quantity, o.unit, o.value, None if o.raw is None else (o.raw.value, o.raw.unit)) for o in seen
    } == capture.values
    if capture.time_s is not None:
        assert {round(o.time_s, 6) for o in seen if not o.relative} == {capture.time_s}
    else:
        assert all(o.relative for o in seen)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: f"{capture.kind}: {capture.device}")
def test_an_unknown_device_is_recognised_by_what_it_says(capture: Capture) -> None:
    found = [recognise(topic, payload.encode()) for topic, payload in capture.messages]
    assert (capture.kind, capture.base) in {(one[0].name, one[1]) for one in found if one is not None}


def test_every_family_has_a_captured_message_with_its_source() -> None:
    assert {capture.kind for capture in CAPTURES} == {dialect.name for dialect in OWN}
    for capture in CAPTURES:
        assert re.search(r"https://|captured \d{4}", capture.source)


@pytest.mark.parametrize("dialect", OWN, ids=lambda dialect: dialect.name)
def test_two_devices_of_a_family_share_no_topic_and_own_what_they_are_told_to_use(dialect: Dialect) -> None:
    from kit.broker.access import overlapping

    grants, others = (dialect.grants(dialect.base(name)) for name in ("gate", "gate2"))
    assert overlapping(grants.publish, others.publish) is None
    assert overlapping(grants.publish, ("alerts/#", "status/#", "commands/#", "sensors/other/#")) is None
    typed = " ".join(setting.value for setting in dialect.settings(dialect.base("gate"), ACCESS))
    assert dialect.base("gate") in typed or dialect.name == "homie"
    assert all(part in typed for part in ("10.0.0.1", "1883", "gate", "secret"))


def test_a_fahrenheit_thermometer_is_converted_and_what_it_said_is_kept() -> None:
    told = '{"Time":"2021-02-03T22:16:26","AM2301":{"Temperature":77.0,"Humidity":41.0,"DewPoint":51.8},"TempUnit":"F"}'
    seen = {o.quantity: (o.value, o.unit, o.raw) for o in observations("tasmota", "x", ("tele/x/SENSOR", told))}
    assert seen["temperature"] == (25.0, "Cel", (77.0, "degF"))
    assert seen["dew_point"] == (11.0, "Cel", (51.8, "degF"))


@pytest.mark.parametrize(
    ("unit", "told", "stored"), [("inHg", 29.92, 1013.208), ("mmHg", 760, 1013.250), ("kPa", 90, 900)]
)
def test_pressure_in_any_unit_is_hectopascals(unit: str, told: float, stored: float) -> None:
    message = json.dumps({"BME280": {"Pressure": told}, "PressureUnit": unit})
    (seen,) = observations("tasmota", "x", ("tele/x/SENSOR", message))
    assert (seen.unit, round(seen.value, 3), seen.raw) == ("hPa", stored, (told, unit))


def test_units_are_converted_in_every_dialect_that_says_them() -> None:
    def discovered(unit: str, device_class: str) -> str:
        return json.dumps({"stat_t": "devices/x/s", "unit_of_meas": unit, "dev_cla": device_class, "name": "Value"})

    for unit, device_class, told, stored in (
        ("°F", "temperature", "212", 100.0),
        ("K", "temperature", "300.15", 27.0),
        ("mph", "wind_speed", "10", 4.4704),
        ("km/h", "wind_speed", "36", 10.0),
        ("kn", "wind_speed", "10", 5.144444444444),
        ("kPa", "atmospheric_pressure", "101.3", 1013.0),
        ("psi", "pressure", "10", 689.47572932),
        ("in", "precipitation", "1", 25.4),
        ("in/h", "precipitation_intensity", "1", 25.4),
        ("kWh", "energy", "1.5", 1500.0),
        ("mV", "voltage", "3300", 3.3),
    ):
        config = ("homeassistant/sensor/x/config", discovered(unit, device_class))
        (seen,) = observations("homeassistant", "devices/x", config, ("devices/x/s", told))
        assert (round(seen.value, 9), seen.raw) == (round(stored, 9), (float(told), unit.replace("°F", "degF"))), unit
    (seen,) = observations(
        "homie", "homie/x", ("homie/x/air/temperature/$unit", "°F"), ("homie/x/air/temperature", "32")
    )
    assert (seen.value, seen.unit, seen.raw) == (0.0, "Cel", (32.0, "degF"))


def test_a_unit_that_nobody_can_convert_is_kept_as_it_came() -> None:
    config = '{"stat_t":"devices/x/s","unit_of_meas":"°Ré","dev_cla":"temperature","name":"Temperature"}'
    (seen,) = observations(
        "homeassistant", "devices/x", ("homeassistant/sensor/x/config", config), ("devices/x/s", "8")
    )
    assert (seen.value, seen.unit, seen.unit_unknown) == (8.0, "°Ré", True)


# --- Tasmota


def test_a_broken_lead_is_named_and_its_neighbours_keep_their_series() -> None:
    told = '{"SI7021":{"Temperature":null,"Humidity":null},"BME280":{"Temperature":8.2},"TempUnit":"C"}'
    (parsed,) = listen("tasmota", "x", ("tele/x/SENSOR", told))
    assert [o.quantity for o in parsed.observations] == ["temperature:bme280"]
    assert "the SI7021 gives no Temperature; check the chip and its lead" in parsed.ignored


def test_the_heat_of_a_chip_is_not_the_air() -> None:
    told = '{"ESP32":{"Temperature":53.3},"BME280":{"Temperature":8.2},"TempUnit":"C"}'
    assert values("tasmota", "x", ("tele/x/SENSOR", told)) == {"temperature:esp32": 53.3, "temperature": 8.2}


def test_a_plug_with_a_meter_and_an_anemometer_are_read() -> None:
    energy = '{"ENERGY":{"TotalStartTime":"2021","Total":2.5,"Power":63,"Voltage":[229,230],"Current":0.3}}'
    wind = '{"TX23":{"Speed":{"Act":36.0,"Max":54.0},"Dir":{"Card":"WSW","Deg":247.5}},"SpeedUnit":"km/h"}'
    seen = values("tasmota", "x", ("tele/x/SENSOR", energy), ("tele/x/SENSOR", wind))
    assert seen == {
        "energy": 2500.0,
        "power": 63.0,
        "voltage:1": 229.0,
        "voltage:2": 230.0,
        "current": 0.3,
        "wind_speed": 10.0,
        "wind_gust": 15.0,
        "wind_direction": 247.5,
    }


def test_what_a_tasmota_answers_when_it_is_asked_is_read_too() -> None:
    told = '{"StatusSNS":{"Time":"2021-02-03T22:17:39","DS18B20":{"Id":"0114","Temperature":4.6},"TempUnit":"C"}}'
    assert values("tasmota", "x", ("stat/x/STATUS10", told)) == {"temperature": 4.6}
    assert listen("tasmota", "x", ("stat/x/POWER", "OFF"), ("tele/x/LWT", "Online"))[0].observations == ()


# --- gateways


def test_a_zigbee_gateways_own_talk_is_no_reading() -> None:
    for topic in ("bridge/state", "bridge/devices", "gate/availability", "gate/set", "gate/get"):
        assert listen("zigbee2mqtt", "zigbee2mqtt/g", (f"zigbee2mqtt/g/{topic}", "online"))[0].observations == ()


def test_a_zigbee_gateway_that_publishes_attributes_one_by_one_is_read() -> None:
    (seen,) = observations("zigbee2mqtt", "zigbee2mqtt/g", ("zigbee2mqtt/g/upper/field/temperature", b"-1.5"))
    assert (seen.part, seen.quantity, seen.value) == ("upper_field", "temperature", -1.5)


def test_a_mains_plug_speaks_volts_and_a_button_cell_millivolts() -> None:
    base, topic = "zigbee2mqtt/g", "zigbee2mqtt/g/x"
    assert values("zigbee2mqtt", base, (topic, '{"voltage":231}')) == {"voltage": 231.0}
    assert values("zigbee2mqtt", base, (topic, '{"voltage":2975,"battery":87}'))["battery_voltage"] == 2.975


def test_names_of_any_script_name_a_device_behind_a_gateway() -> None:
    for friendly, part in (("détecteur pir", "détecteur_pir"), ("माथिको खेत", "म_थ_क__ख_त"), ("a/b", "a_b")):
        (seen,) = observations("zigbee2mqtt", "zigbee2mqtt/g", (f"zigbee2mqtt/g/{friendly}", '{"temperature":1}'))
        assert seen.part.replace("__", "_") == part.replace("__", "_")


def test_an_uplink_without_a_codec_says_what_to_do() -> None:
    info = '"deviceInfo":{"deviceName":"a","devEui":"0011223344556677"}'
    topic = "chirpstack/l/application/a/device/0011223344556677/event/up"
    with pytest.raises(DialectError, match="give its device profile a codec"):
        listen("chirpstack", "chirpstack/l", (topic, f'{{{info},"data":"AQI="}}'))
    with pytest.raises(DialectError, match="json=true"):
        listen("chirpstack", "chirpstack/l", (topic, b"\x0a\x24protobuf"))
    uplink = '{"end_device_ids":{"device_id":"dev1"},"uplink_message":{"f_port":1,"frm_payload":"q80="}}'
    with pytest.raises(DialectError, match="give the device a payload formatter"):
        listen("ttn", "ttn/l", ("ttn/l/up", uplink))


def test_a_lorawan_devices_battery_and_normalized_values_are_read() -> None:
    status = '{"deviceInfo":{"deviceName":"a","devEui":"0011223344556677"},"batteryLevel":84.5,"margin":10}'
    (seen,) = observations("chirpstack", "chirpstack/l", ("chirpstack/l/x/event/status", status))
    assert (seen.part, seen.quantity, seen.value) == ("a-6677", "battery_level", 84.5)
    normalized: dict[str, Any] = {
        "end_device_ids": {"device_id": "dev1"},
        "uplink_message": {
            "decoded_payload": {"x": 1},
            "normalized_payload": [{"air": {"temperature": -2.5, "relativeHumidity": 90}, "soil": {"moisture": 31}}],
            "rx_metadata": [{"rssi": -110}, {"rssi": -97}],
        },
    }
    assert values("ttn", "ttn/l", ("ttn/l/up", json.dumps(normalized))) == {
        "temperature": -2.5,
        "humidity": 90.0,
        "soil_moisture": 31.0,
        "signal": -97.0,
    }


def test_a_mesh_node_in_the_frost_is_believed_and_a_missing_sensor_is_not() -> None:
    def told(**payload: float) -> str:
        return json.dumps({"from": 1, "type": "telemetry", "payload": payload, "timestamp": 0})

    topic, base = "msh/m/2/json/LongFast/!00000001", "msh/m"
    frost = told(temperature=0, relative_humidity=97.5, barometric_pressure=0, wind_speed=0)
    assert values("meshtastic", base, (topic, frost)) == {"temperature": 0.0, "humidity": 97.5}
    nothing = told(temperature=0, relative_humidity=0, barometric_pressure=0, voltage=12.1, current=120)
    assert values("meshtastic", base, (topic, nothing)) == {"voltage": 12.1, "current": 0.12}
    with pytest.raises(DialectError, match="which node"):
        listen("meshtastic", base, (topic, '{"type":"telemetry","payload":{}}'))
    assert observations("meshtastic", base, (topic, '{"from":1,"type":"text","payload":{"text":"hi"}}')) == []


# --- discovery


def test_a_discovery_that_calculates_is_named_and_not_guessed_at() -> None:
    config = '{"stat_t":"devices/x/s","val_tpl":"{{ value_json.t / 10 }}","name":"Temperature"}'
    (parsed,) = listen("homeassistant", "devices/x", ("homeassistant/sensor/x/t/config", config))
    assert not parsed.learned
    assert "calculates its value" in parsed.ignored[0]


@pytest.mark.parametrize(
    "template",
    [
        "{{value_json.t}}",
        "{{ value_json.t | float | round(1) }}",
        "{{ value_json['t'] }}",
        "{{ value_json.t|default(0) }}",
        "{{value_json.t if value_json.t is defined else 0}}",
    ],
)
def test_templates_that_only_point_at_a_value_are_understood(template: str) -> None:
    config = json.dumps({"~": "devices/x", "stat_t": "~/s", "val_tpl": template, "name": "Temperature"})
    said = (("homeassistant/sensor/x/t/config", config), ("devices/x/s", '{"t": 4.5}'))
    assert values("homeassistant", "devices/x", *said) == {"temperature": 4.5}


def test_a_discovery_for_a_whole_device_is_understood_and_can_be_taken_back() -> None:
    config: dict[str, Any] = {
        "state_topic": "devices/x/s",
        "cmps": {
            "t": {"p": "sensor", "value_template": "{{ value_json.a.t }}", "unit_of_measurement": "°C", "name": "Temp"},
            "h": {
                "p": "sensor",
                "value_template": "{{ value_json.a.h }}",
                "device_class": "humidity",
                "name": "Humidity",
            },
            "b": {"p": "button", "command_topic": "x"},
        },
    }
    announced = ("homeassistant/device/x/config", json.dumps(config))
    state = ("devices/x/s", '{"a": {"t": 1.5, "h": 80}}')
    assert values("homeassistant", "devices/x", announced, state) == {"temperature": 1.5, "humidity": 80.0}
    assert values("homeassistant", "devices/x", announced, ("homeassistant/device/x/config", ""), state) == {}


def test_an_announcement_that_says_nothing_new_teaches_nothing() -> None:
    config = ("homeassistant/sensor/x/t/config", '{"stat_t":"devices/x/s","name":"Temperature"}')
    first, second = listen("homeassistant", "devices/x", config, config)
    assert first.learned
    assert not second.learned


def test_an_esphome_board_with_a_dead_sensor_says_so() -> None:
    base, topic = "esphome/x", "esphome/x/sensor/temperature/state"
    (parsed,) = listen("esphome", base, (topic, "nan"))
    assert parsed.ignored == ("the sensor 'temperature' gives no value (nan); check it and its lead",)
    with pytest.raises(DialectError, match="is no number"):
        listen("esphome", base, (topic, "cold"))


def test_an_esphome_boards_units_come_from_its_discovery() -> None:
    config = '{"stat_t":"esphome/x/sensor/roof/state","unit_of_meas":"°F","dev_cla":"temperature","name":"Roof"}'
    said = (("homeassistant/sensor/x/roof/config", config), ("esphome/x/sensor/roof/state", "50"))
    assert values("esphome", "esphome/x", *said) == {"temperature:roof": 10.0}


def test_a_shelly_whose_clock_was_never_set_leaves_the_time_to_the_kit() -> None:
    told = '{"method":"NotifyStatus","params":{"ts":12.5,"temperature:101":{"id":101,"tC":3.5}}}'
    (seen,) = observations("shelly", "shelly/x", ("shelly/x/events/rpc", told))
    assert (seen.quantity, seen.relative) == ("temperature:101", True)


def test_homie_nodes_tell_probes_apart() -> None:
    said = (("homie/x/$nodes", "up,down"), ("homie/x/up/temperature", "1"), ("homie/x/down/temperature", "2"))
    assert values("homie", "homie/x", *said) == {"temperature:up": 1.0, "temperature:down": 2.0}
    assert observations("homie", "homie/x", ("homie/x/up/temperature/set", "5")) == []
    typed = ("homie/x/up/temperature/$datatype", "float")
    with pytest.raises(DialectError, match="is no number"):
        listen("homie", "homie/x", typed, ("homie/x/up/temperature", "warm"))


def test_a_chips_name_is_a_label_only_where_two_chips_measure_the_same() -> None:
    def announced(chip: str) -> Speech:
        config = {"stat_t": f"esphome/x/sensor/{chip}_temperature/state", "name": f"{chip.upper()} Temperature"}
        return f"homeassistant/sensor/x/{chip}_temperature/config", json.dumps(config | {"unit_of_meas": "°C"})

    said: Speech = ("esphome/x/sensor/bme280_temperature/state", "4.5")
    assert values("esphome", "esphome/x", announced("bme280"), said) == {"temperature": 4.5}
    both = (announced("bme280"), announced("ds18b20"), said)
    assert values("esphome", "esphome/x", *both) == {"temperature:bme280": 4.5}
