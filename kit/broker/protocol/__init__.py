"""MQTT 3.1.1 and 5 without I/O, in the manner of h11: bytes in, packets out; packets in, bytes out.

Nothing here opens a socket, waits, logs or reads a clock; `now` comes in as an argument. Whatever bytes come in, the
only exceptions that come out are `RemoteProtocolError` (the peer's fault) and `LocalProtocolError` (our own misuse).

Sources: OASIS, MQTT Version 3.1.1, 29 October 2014; OASIS, MQTT Version 5.0, 7 March 2019. Numbers in brackets, like
[MQTT-3.1.0-1], are their statements.
"""
