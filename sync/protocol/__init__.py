"""The sync protocol, sans-IO: bytes and `now` come in, frames, events and a wake-up time go out.

Nothing here opens a socket, sleeps, logs, reads a clock or draws a random number of its own, and nothing is imported
from `kit`. docs/sync-protocol.md specifies what goes over the air.
"""
