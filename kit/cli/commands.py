"""The words of `kit`, and where each is done.

A table and nothing else: `kit --help` prints it without importing a single command, and a command's module is imported
only when its word is typed. On a Raspberry Pi that is the difference between an answer and a pause.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A word of the command line.

    Attributes:
        module: imported when the word is used.
        function: in that module; gets the command's parser, adds arguments and `set_defaults(run=f)`, where
            `f(arguments) -> int`.
        help: one line.
        group: the heading it stands under in `kit --help`; "" hides it.
    """

    module: str
    function: str
    help: str
    group: str


UNIT, SENSORS, RECORDS, CARE, CORE = "the unit", "sensors", "records and warnings", "care", "the city core"
GROUPS = (UNIT, SENSORS, RECORDS, CARE, CORE)

COMMANDS: dict[str, Command] = {
    "run": Command("kit.cli.run_command", "add_run", "start the unit and keep it running", UNIT),
    "init": Command("kit.cli.init_command", "add_init", "write a commented kit.toml", UNIT),
    "status": Command("kit.cli.status_command", "add_status", "what the unit does now, and what needs you", UNIT),
    "doctor": Command("kit.cli.doctor_command", "add_doctor", "check everything, and say what to do", UNIT),
    "clock": Command("kit.cli.clock_command", "add_clock", "what the kit knows about the time, and telling it", UNIT),
    "tui": Command("kit.cli.tui_command", "add_tui", "the technician's screen", UNIT),
    "log": Command("kit.cli.log_command", "add_log", "the last lines of the services' logs", UNIT),
    "device": Command(
        "kit.cli.device_commands", "add_device_commands", "let sensors in, list them, shut them out", SENSORS
    ),
    "actuator": Command(
        "kit.cli.actuator_commands", "add_actuator_commands", "valves, relays, sirens: switch them, and see", SENSORS
    ),
    "readings": Command(
        "kit.cli.readings_command", "add_readings", "what was measured, as a table, CSV or JSON", SENSORS
    ),
    "replay": Command("kit.cli.replay_command", "add_replay", "publish recorded weather through the broker", SENSORS),
    "alerts": Command("kit.cli.alert_commands", "add_alert_commands", "warnings, and who confirmed them", RECORDS),
    "queue": Command(
        "kit.cli.queue_commands", "add_queue_commands", "what waits to leave, and how far it has come", RECORDS
    ),
    "join": Command("kit.cli.join_command", "add_join", "enrol this kit at a city core", RECORDS),
    "bundle": Command("kit.cli.bundle_commands", "add_bundle", "carry records by hand, on a USB stick", RECORDS),
    "sync": Command(
        "kit.cli.sync_commands", "add_sync_commands", "new keys; what measurements cost on a thin link", RECORDS
    ),
    "broker": Command(
        "kit.cli.broker_commands",
        "add_broker_commands",
        "files for an existing Mosquitto in its place",
        CARE,
    ),
    "backup": Command(
        "kit.cli.backup_commands", "add_backup", "an encrypted copy of everything, while the unit runs", CARE
    ),
    "restore": Command("kit.cli.backup_commands", "add_restore", "prove a backup, or bring it back", CARE),
    "password": Command("kit.cli.password_command", "add_password", "change the technician's password", CARE),
    "core": Command("kit.cli.core_commands", "add_core", "run a city core, and look after its kits", CORE),
    "service": Command(
        "kit.cli.run_command", "add_service", "one service of the unit, as its supervisor starts it", ""
    ),
}
"""In the order of the help."""
