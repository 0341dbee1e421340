"""Actuators and the siren over the kit's own broker: see docs/actuators.md.

- `speech`: how each kind of device is told, and what it says back; pure.
- `service`: sends, renews, listens, and keeps the ledger of commands.
- `asking`: asks for something and waits for the device's word.
"""
