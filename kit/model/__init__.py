"""Pure values: quantities and units, readings, alerts (CAP), messages. No I/O, no clock."""
