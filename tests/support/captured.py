"""Messages of real devices, as people published them, each with its source; and what the kit must make of them.

Identifiers that the publisher masked stay masked. A message that is not whole in its source says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Value(NamedTuple):
    """A reading that must come out: the device behind the gateway, quantity, unit, value, what it was before."""

    part: str
    quantity: str
    unit: str
    value: float
    raw: tuple[float, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Messages in the order in which the device sent them.

    Attributes:
        kind: the dialect.
        device: what it is.
        source: where it was published.
        base: where the device's topics begun there.
        messages: topic and payload.
        values: what must come out of all of them together.
        time_s: the device's or server's own time of the values; None = it gave none.
    """

    kind: str
    device: str
    source: str
    base: str
    messages: tuple[tuple[str, str], ...]
    values: frozenset[Value]
    time_s: float | None = None


CAPTURES = (
    Capture(
        kind="tasmota",
        device="Wemos D1 mini with SI7021 and BME280",
        source="https://github.com/ioBroker/ioBroker.sonoff/issues/15 (2018-01-04)",
        base="sonoff-test",
        messages=(
            (
                "tele/sonoff-test/SENSOR",
                (
                    '{"Time":"2018-01-04T06:55:26","SI7021":{"Temperature":7.5,"Humidity":81.5},'
                    '"BME280":{"Temperature":8.2,"Humidity":76.7,"Pressure":993.2},"TempUnit":"C"}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("", "temperature:si7021", "Cel", 7.5),
                Value("", "humidity:si7021", "%RH", 81.5),
                Value("", "temperature:bme280", "Cel", 8.2),
                Value("", "humidity:bme280", "%RH", 76.7),
                Value("", "pressure", "hPa", 993.2),
            }
        ),
    ),
    Capture(
        kind="tasmota",
        device="Sonoff with DHT11: SENSOR and STATE",
        source="https://github.com/arendst/Tasmota/issues/4202 (2018-10-29; its topic was kidsbedmain/SENSOR)",
        base="kidsbedmain",
        messages=(
            (
                "tele/kidsbedmain/SENSOR",
                '{"Time":"2018-10-29T07:17:22","DHT11":{"Temperature":24.0,"Humidity":41.0},"TempUnit":"C"}',
            ),
            (
                "tele/kidsbedmain/STATE",
                (
                    '{"Time":"2018-10-29T07:17:32","Uptime":"0T00:09:34","Vcc":3.143,"POWER":"OFF",'
                    '"Wifi":{"AP":1,"SSId":"TazSpace","RSSI":98,"APMac":"FC:EC:DA:38:8F:04"}}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("", "temperature", "Cel", 24.0),
                Value("", "humidity", "%RH", 41.0),
                Value("", "voltage:supply", "V", 3.143),
            }
        ),
    ),
    Capture(
        kind="tasmota",
        device="bare board: STATE with the strength of its signal",
        source="https://github.com/arendst/Tasmota/issues/14557 (2022-01-21)",
        base="tasmota_F8F02C",
        messages=(
            ("stat/tasmota_F8F02C/RESULT", '{"WebLog":4}'),
            (
                "tele/tasmota_F8F02C/STATE",
                (
                    '{"Time":"2022-01-21T19:34:30","Uptime":"0T00:21:27","UptimeSec":1287,"Heap":158,'
                    '"SleepMode":"Dynamic","Sleep":50,"LoadAvg":38,"MqttCount":1,"Berry":{"HeapUsed":3,"Objects":48},'
                    '"Wifi":{"AP":1,"SSId":"FritzBoxFonWLAN","BSSId":"CC:CE:1E:F4:D9:A6","Channel":6,"Mode":"11n",'
                    '"RSSI":64,"Signal":-68,"LinkCount":1,"Downtime":"0T00:00:06"}}'
                ),
            ),
        ),
        values=frozenset({Value("", "signal", "dBm", -68.0)}),
    ),
    Capture(
        kind="zigbee2mqtt",
        device="Aqara weather sensor",
        source="https://github.com/stas-demydiuk/domoticz-zigbee2mqtt-plugin/issues/307 (2018-10-28)",
        base="zigbee2mqtt",
        messages=(
            (
                "zigbee2mqtt/WeatherGuestRoom",
                (
                    '{"temperature":24.59,"linkquality":39,"humidity":36.56,"pressure":990,"battery":"37.00",'
                    '"voltage":2975}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("weatherguestroom", "temperature", "Cel", 24.59),
                Value("weatherguestroom", "linkquality", "", 39.0),
                Value("weatherguestroom", "humidity", "%RH", 36.56),
                Value("weatherguestroom", "pressure", "hPa", 990.0),
                Value("weatherguestroom", "battery_level", "%EL", 37.0),
                Value("weatherguestroom", "battery_voltage", "V", 2.975, (2975.0, "mV")),
            }
        ),
    ),
    Capture(
        kind="homeassistant",
        device="ESPHome template sensor: its discovery",
        source="https://github.com/esphome/issues/issues/2312 (2021-08-11; shortened there)",
        base="device/template_sensor",
        messages=(
            (
                "homeassistant/sensor/device/template_sensor/config",
                (
                    '{"device_class":"temperature","unit_of_measurement":"°C","name":"Template Sensor",'
                    '"state_topic":"device/template_sensor/state","availability_topic":"device/status","unique_id":"..."}'
                ),
            ),
            ("device/status", "online"),
        ),
        values=frozenset(),
    ),
    Capture(
        kind="esphome",
        device="outdoor weather station",
        source="https://github.com/kpetremann/mqtt-exporter/pull/50 (2023-03-31)",
        base="esp-weather-outdoor",
        messages=(("esp-weather-outdoor/sensor/temperature/state", "20"),),
        values=frozenset({Value("", "temperature", "Cel", 20.0)}),
    ),
    Capture(
        kind="esphome",
        device="inverter in the attic",
        source="https://github.com/syssi/esphome-soyosource-gtn-virtual-meter/issues/71 (2022-08-25)",
        base="attic-powerwall",
        messages=(
            ("attic-powerwall/sensor/inverter0_power_demand/state", "190"),
            ("attic-powerwall/sensor/firstfloor_inverter_energy_yesterday/state", "0.105"),
            ("attic-powerwall/switch/attic-powerwall_restart/state", "OFF"),
        ),
        values=frozenset(
            {
                Value("", "inverter0_power_demand", "", 190.0),
                Value("", "firstfloor_inverter_energy_yesterday", "", 0.105),
            }
        ),
    ),
    Capture(
        kind="shelly",
        device="Shelly Plus H&T",
        source="https://gist.github.com/NelsonMinar/494a0f53785c20290b395639548349fa (2023-04-08; cut at the end)",
        base="shellyplusht-b8d61a8b17cc",
        messages=(
            (
                "shellyplusht-b8d61a8b17cc/events/rpc",
                (
                    '{"src":"shellyplusht-b8d61a8b17cc","dst":"shellyplusht-b8d61a8b17cc/events",'
                    '"method":"NotifyFullStatus","params":{"ts":1680962879.62,"ble":{},"cloud":{"connected":false},'
                    '"devicepower:0":{"id":0,"battery":{"V":0.43,"percent":0},"external":{"present":true}},"ht_ui":{},'
                    '"humidity:0":{"id":0,"rh":42.2},"mqtt":{"connected":true},"sys":{"mac":"B8D61A8B17CC",'
                    '"restart_required":false,"time":null,"unixtime":null,"uptime":3,"ram_size":235300,'
                    '"ram_free":164244,"fs_size":458752,"fs_free":118784,"cfg_rev":10,"kvs_rev":0,"webhook_rev":0,'
                    '"available_updates":{},"wakeup_reason":{"boot":"deepsleep_wake","cause":"status_update"},'
                    '"wakeup_period":600},"temperature:0":{"id":0,"tC":19.8,"tF":67.6}}}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("", "temperature", "Cel", 19.8),
                Value("", "humidity", "%RH", 42.2),
                Value("", "battery_voltage", "V", 0.43),
                Value("", "battery_level", "%EL", 0.0),
            }
        ),
        time_s=1680962879.62,
    ),
    Capture(
        kind="shelly",
        device="Shelly 1PM Mini Gen3: a notification, and a generic status update",
        source="https://github.com/iobroker-community-adapters/ioBroker.shelly/issues/1592 (2026-09-09)",
        base="ShellyLichtGarten",
        messages=(
            (
                "ShellyLichtGarten/events/rpc",
                (
                    '{"src":"shelly1pmminig3-e4b323133734","dst":"ShellyLichtGarten/events","method":"NotifyStatus",'
                    '"params":{"ts":1788945300.02,"switch:0":{"counts":{"on_above_thr":0,"on_time":241680,'
                    '"switch_on":192}}}}'
                ),
            ),
            (
                "ShellyLichtGarten/status/switch:0",
                (
                    '{"id":0,"source":"SHC","tag":null, "output":false, "apower":0.0, "voltage":238.3, "freq":50.0, '
                    '"current":0.000, "aenergy":{"total":2690.730,"by_minute":[0.000,0.000,0.000],'
                    '"minute_ts":1788945300}, "ret_aenergy":{"total":0.000,"by_minute":[0.000,0.000,0.000],'
                    '"minute_ts":1788945300},"counts":{"on_time":241680,"on_time_rst_ts":0,"switch_on":192,'
                    '"switch_on_rst_ts":0,"on_above_thr":0,"on_above_thr_rst_ts":0},'
                    '"temperature":{"tC":56.1, "tF":132.9}}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("", "power", "W", 0.0),
                Value("", "voltage", "V", 238.3),
                Value("", "frequency", "Hz", 50.0),
                Value("", "current", "A", 0.0),
                Value("", "energy", "Wh", 2690.73),
                Value("", "temperature:switch", "Cel", 56.1),
            }
        ),
    ),
    Capture(
        kind="homie",
        device="thermostat",
        source="https://homieiot.github.io/tools (the convention's own example of a device)",
        base="homie/device123",
        messages=(
            ("homie/device123/$homie", "4.0"),
            ("homie/device123/$name", "My device"),
            ("homie/device123/$state", "ready"),
            ("homie/device123/$nodes", "mythermostat"),
            ("homie/device123/mythermostat/$properties", "temperature"),
            ("homie/device123/mythermostat/temperature/$unit", "°C"),
            ("homie/device123/mythermostat/temperature/$datatype", "integer"),
            ("homie/device123/mythermostat/temperature", "22"),
        ),
        values=frozenset({Value("", "temperature", "Cel", 22.0)}),
    ),
    Capture(
        kind="homie",
        device="ESP8266 with several sensors",
        source="https://gist.github.com/nzben/a02d3839b3aa6d17fe1f9a53f6ca985b (2017-04-06)",
        base="homie/multi-sensor-1",
        messages=(
            ("homie/multi-sensor-1/lux/lux", "0.88"),
            ("homie/multi-sensor-1/temperature/unit", "c"),
            ("homie/multi-sensor-1/temperature/degrees", "20.62"),
            ("homie/multi-sensor-1/humidity/relative", "61.00"),
            ("homie/multi-sensor-1/pressure/hectopascals", "1013.56"),
        ),
        values=frozenset(
            {
                Value("", "illuminance", "lx", 0.88),
                Value("", "temperature", "Cel", 20.62),
                Value("", "humidity", "%RH", 61.0),
                Value("", "pressure", "hPa", 1013.56),
            }
        ),
    ),
    Capture(
        kind="chirpstack",
        device="Dragino LHT65N",
        source="a public repository's page “ChirpStack Uplink Format”, captured 2026-08-27 from ChirpStack v4",
        base="application/635fda7b-0428-495e-812f-027490bcaf9d",
        messages=(
            (
                "application/635fda7b-0428-495e-812f-027490bcaf9d/device/a840419edb62011c/event/up",
                (
                    '{"deduplicationId":"80166477-2482-43ab-a64e-088107a7c4fa","time":"2026-08-27T14:39:44.530852140+00:00",'
                    '"deviceInfo":{"tenantId":"ae2e1b59-bf1e-420f-a733-bfbf08eb8aca","tenantName":"ChirpStack",'
                    '"applicationId":"635fda7b-0428-495e-812f-027490bcaf9d","applicationName":"senso-test",'
                    '"deviceProfileId":"bc0b05d1-d5ec-4126-9451-42403f143a9f","deviceProfileName":"Dargino LHT65N",'
                    '"deviceName":"sensor0","devEui":"a840419edb62011c","deviceClassEnabled":"CLASS_A","tags":{}},'
                    '"devAddr":"01087309","adr":true,"dr":0,"fCnt":0,"fPort":2,"confirmed":false,'
                    '"data":"zOEJqQHEAQj1f/8=","object":{"BatV":3.297,"TempC_SHT":24.73,"Bat_status":3,'
                    '"Ext_sensor":"Temperature Sensor","Hum_SHT":45.2,"TempC_DS":22.93,"Node_type":"LHT65N"},'
                    '"rxInfo":[{"gatewayId":"2cf7f11081400088","rssi":-102,"snr":-12,"channel":4,"crcStatus":"CRC_OK"}],'
                    '"txInfo":{"frequency":867300000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":12,'
                    '"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("sensor0-011c", "temperature", "Cel", 24.73),
                Value("sensor0-011c", "temperature:ds", "Cel", 22.93),
                Value("sensor0-011c", "humidity", "%RH", 45.2),
                Value("sensor0-011c", "battery_voltage", "V", 3.297),
                Value("sensor0-011c", "bat_status", "", 3.0),
                Value("sensor0-011c", "signal", "dBm", -102.0),
            }
        ),
        time_s=1787841584.530852,
    ),
    Capture(
        kind="chirpstack",
        device="Helium mapper",
        source="https://github.com/helium/mappers/pull/130 (2024-07-23; masked, and cut after the first gateway)",
        base="application/xxx",
        messages=(
            (
                "application/xxx/device/818b1b730405d0cf/event/up",
                (
                    '{"deduplicationId":"xxx","time":"2024-07-23T03:15:37.161+00:00","deviceInfo":{"tenantId":"xxx",'
                    '"tenantName":"Joey","applicationId":"xxx","applicationName":"Mappers","deviceProfileId":"xxx",'
                    '"deviceProfileName":"Mapper Device","deviceName":"GK Mapper","devEui":"818b1b730405d0cf",'
                    '"deviceClassEnabled":"CLASS_A","tags":{}},"devAddr":"78000003","adr":false,"dr":3,"fCnt":12,'
                    '"fPort":2,"confirmed":false,"data":"xxx","object":{"altitude":29.0,"speed":0.0,"battery":3.98,'
                    '"sats":12.0,"accuracy":2.5},"rxInfo":[{"gatewayId":"464060cab5062e5a","uplinkId":57654,'
                    '"gwTime":"2024-07-23T03:15:36.161+00:00","nsTime":"2024-07-16T03:15:36.273422656+00:00",'
                    '"rssi":-106,"snr":-3.0,"context":"tKJtsQ=="}]}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("gk_mapper-d0cf", "altitude", "", 29.0),
                Value("gk_mapper-d0cf", "speed", "", 0.0),
                Value("gk_mapper-d0cf", "battery_voltage", "V", 3.98),
                Value("gk_mapper-d0cf", "sats", "", 12.0),
                Value("gk_mapper-d0cf", "accuracy", "", 2.5),
                Value("gk_mapper-d0cf", "signal", "dBm", -106.0),
            }
        ),
        time_s=1721704537.161,
    ),
    Capture(
        kind="ttn",
        device="SenseCAP S2120 weather station",
        source="https://github.com/home-assistant/core/issues/121249 (2024-07-05, the envelope) and "
        "https://github.com/TheThingsNetwork/lorawan-devices/pull/596 (2023-03-22, what the codec makes of it)",
        base="v3/elji-lorawan-1@ttn",
        messages=(
            (
                "v3/elji-lorawan-1@ttn/devices/eui-2cf7f1c044300279/up",
                (
                    '{"end_device_ids":{"device_id":"eui-2cf7f1c044300279","application_ids":{"application_id":'
                    '"elji-lorawan-1"},"dev_eui":"2CF7F1C044300279","join_eui":"8000000000000009","dev_addr":"260BA448"},'
                    '"correlation_ids":["gs:uplink:01J21TXMF4DAS631TSWK0WZF8V"],"received_at":'
                    '"2024-07-05T16:16:30.899243333Z","uplink_message":{"session_key_id":"AZB4Ym7KD33ulfRwvqmLdg==",'
                    '"f_port":3,"f_cnt":642,"frm_payload":"AQC0IgABaSpRABICAGoAAAAAIrE=","decoded_payload":{"err":0,'
                    '"messages":[[{"measurementId":"4097","measurementValue":18,"type":"Air Temperature"},'
                    '{"measurementId":"4098","measurementValue":34,"type":"Air Humidity"},'
                    '{"measurementId":"4099","measurementValue":92458,"type":"Light Intensity"},'
                    '{"measurementId":"4190","measurementValue":8.1,"type":"UV Index"},'
                    '{"measurementId":"4105","measurementValue":1.8,"type":"Wind Speed"}],'
                    '[{"measurementId":"4104","measurementValue":106,"type":"Wind Direction Sensor"},'
                    '{"measurementId":"4113","measurementValue":0,"type":"Rain Gauge"},'
                    '{"measurementId":"4101","measurementValue":88810,"type":"Barometric Pressure"}]],'
                    '"payload":"0100B4220001692A51001202006A0000000022B1","valid":true}}}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("eui-2cf7f1c044300279", "temperature", "Cel", 18.0),
                Value("eui-2cf7f1c044300279", "humidity", "%RH", 34.0),
                Value("eui-2cf7f1c044300279", "illuminance", "lx", 92458.0),
                Value("eui-2cf7f1c044300279", "uv_index", "", 8.1),
                Value("eui-2cf7f1c044300279", "wind_speed", "m/s", 1.8),
                Value("eui-2cf7f1c044300279", "wind_direction", "deg", 106.0),
                Value("eui-2cf7f1c044300279", "rain_rate", "mm/h", 0.0),
                Value("eui-2cf7f1c044300279", "pressure", "hPa", 888.1, (88810.0, "Pa")),
            }
        ),
        time_s=1720196190.899243,
    ),
    Capture(
        kind="meshtastic",
        device="Smart Citizen node with a temperature and humidity sensor",
        source="https://github.com/fablabbcn/smartcitizen-meshtastic/issues/1 (2025-06-06)",
        base="device/sck/mesh12",
        messages=(
            (
                "device/sck/mesh12/2/json/LongFast/!da741924",
                (
                    '{"channel":0,"from":3665041700,"hop_start":3,"hops_away":0,"id":4075056514,"payload":'
                    '{"barometric_pressure":0,"current":0,"gas_resistance":0,"iaq":0,"lux":0,'
                    '"relative_humidity":61.310001373291,"temperature":25.9400005340576,"voltage":0,"white_lux":0,'
                    '"wind_direction":0,"wind_gust":0,"wind_lull":0,"wind_speed":0},"sender":"!da741924",'
                    '"timestamp":1749214958,"to":4294967295,"type":"telemetry"}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("da741924", "temperature", "Cel", 25.9400005340576),
                Value("da741924", "humidity", "%RH", 61.310001373291),
            }
        ),
        time_s=1749214958.0,
    ),
    Capture(
        kind="meshtastic",
        device="node on a charger, as mosquitto_sub showed it",
        source="a public repository's README on Meshtastic with MQTT, captured 2025-06-10",
        base="msh/EU_868",
        messages=(
            ("msh/EU_868/2/e/MediumFast/!ea8f8630", "\x00not JSON"),
            (
                "msh/EU_868/2/json/MediumFast/!ea8f8630",
                (
                    '{"channel":0,"from":3935274544,"hop_start":3,"hops_away":0,"id":178295092,"payload":'
                    '{"air_util_tx":0.0633611083030701,"battery_level":101,"channel_utilization":1.50333333015442,'
                    '"uptime_seconds":43266,"voltage":-0.00100000004749745},"sender":"!ea8f8630",'
                    '"timestamp":1749534388,"to":4294967295,"type":"telemetry"}'
                ),
            ),
        ),
        values=frozenset(
            {
                Value("ea8f8630", "air_util_tx", "%", 0.0633611083030701),
                Value("ea8f8630", "channel_utilization", "%", 1.50333333015442),
            }
        ),
        time_s=1749534388.0,
    ),
    Capture(
        kind="homeassistant",
        device="EMS-ESP heating gateway",
        source="https://github.com/emsesp/EMS-ESP32/issues/1360 (2023; the state is made for the test)",
        base="ems-esp",
        messages=(
            (
                "homeassistant/sensor/ems-esp/boiler_syspress/config",
                (
                    '{"uniq_id":"boiler_system_pressure","obj_id":"boiler_system_pressure","stat_t":"ems-esp/boiler_data",'
                    '"name":"System pressure","val_tpl":"{{value_json.syspress}}","unit_of_meas":"bar",'
                    '"stat_cla":"measurement","dev_cla":"pressure","dev":{"ids":["ems-esp-boiler"]}}'
                ),
            ),
            (
                "homeassistant/sensor/ems-esp/boiler_boiltemp/config",
                (
                    '{"uniq_id":"boiler_actual_boiler_temperature","obj_id":"boiler_actual_boiler_temperature",'
                    '"stat_t":"ems-esp/boiler_data","name":"Actual boiler temperature",'
                    '"val_tpl":"{{value_json.boiltemp}}",'
                    '"unit_of_meas":"°C","stat_cla":"measurement","dev_cla":"temperature","dev":{"ids":["ems-esp-boiler"]}}'
                ),
            ),
            ("ems-esp/boiler_data", '{"syspress":1.5,"boiltemp":58.7}'),
        ),
        values=frozenset(
            {
                Value("", "pressure:system_pressure", "hPa", 1500.0, (1.5, "bar")),
                Value("", "temperature:actual_boiler_temperature", "Cel", 58.7),
            }
        ),
    ),
    Capture(
        kind="homeassistant",
        device="Mi thermometer behind a board of its owner's, in °C and %",
        source="https://gist.github.com/Elwell/1b0421abea0fa7f90a139b3400c890f2 (2021-07-28; the state is made for the "
        "test)",
        base="tele/tasmota_ble",
        messages=(
            (
                "homeassistant/sensor/ATC_264902_temp/config",
                (
                    '{"device_class": "temperature", "state_topic": "tele/tasmota_ble/ATC264902", '
                    '"name": "ATC_264902 Temperature", "uniq_id": "ATC_264902_temp", "unit_of_meas": "°C", '
                    '"value_template": "{{ value_json.Temperature}}", '
                    '"device": { "name": "ATC_264902", "sw_version": "3.1", "identifiers": ["ATC_264902"]} }'
                ),
            ),
            ("tele/tasmota_ble/ATC264902", '{"Temperature": 21.4, "Humidity": 55}'),
        ),
        values=frozenset({Value("", "temperature:atc_264902_temperature", "Cel", 21.4)}),
    ),
    Capture(
        kind="native",
        device="the example of RFC 8428 §5.1.2, with a quantity the kit knows",
        source="https://www.rfc-editor.org/rfc/rfc8428#section-5.1.1",
        base="sensors/rfc",
        messages=(("sensors/rfc", '[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]'),),
        values=frozenset({Value("", "temperature", "Cel", 23.1)}),
    ),
)
