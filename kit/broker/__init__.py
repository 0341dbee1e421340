"""The kit's own broker for MQTT 3.1.1 and 5: what it acknowledges is on disk.

- `protocol/`: the wire, without I/O;
- `hub`, `delivery`, `memory`, `access`: what packets mean for sessions, subscribers and retained messages,
  and who may do what;
- `changes`, `ports`: what has to be written down, and by whom (`kit.store.mqtt`, `kit.store.devices`);
- `server`, `link`, `door`, `committer`: sockets, passwords, and the thread that waits for the disk;
- `external`: instead of all that, the kit as a client of an existing Mosquitto, with a weaker promise.

Composition, as `kit.run` does it in the broker's process:

    passwords = load_or_create_service_passwords(home)
    with Database(home.database, migrations=SCHEMA) as store, Database(home.database) as devices:
        ingest = Ingest(...)                                    # kit.collect
        broker = Broker(
            host=host,
            port=port,
            users=DeviceUsers(devices, services=passwords),     # kit.store.device_users
            journal=MqttJournal(store, ingest=ingest),          # kit.store.mqtt
            clock=clock,
            on_problem=log.warning,
        )
        stop = asyncio.Event()                                  # set by a signal handler
        await broker.serve(stop, ready=lambda address: ...)

The two databases are two connections because two threads use them: one waits for the disk, one looks up passwords.
"""
