"""Durable ingest: the kit's broker beside Mosquitto → paho (acknowledging by hand) → SQLite and a bare listener.

All in the same run, see `ingest_sides.py`. A reading counts when it is on disk. Devices are raw sockets with a window:
1 = wait for each PUBACK, 20 = what paho and most libraries have in flight at once, 200 = a gateway that sends what it
has. Milliseconds do not carry over to other machines; ratios do. The sides take turns in short rounds, so that a busy
machine disturbs all of them alike; the median of the rounds is shown, and of the ratios of each round.

    .venv/bin/python benchmarks/bench_ingest.py [--seconds 1] [--rounds 5] [--only rates|delays|bursts|cpu] [--ledger]

- rates: messages per second as fast as they are acknowledged, each with two readings. Floor: twice `chain`, with 200
  devices and with one, at the window at which the bare listener reaches 4.5 times the chain with one (50). `chain`
  keeps a row for each record and knows nothing of quantities, flags, repetitions, the core or the ledger; `external` is
  the same chain with the kit's work behind it.
- delays: from PUBLISH to PUBACK at 1,000 messages a second. Floor: p99 at most twice the bare listener's.
- bursts: a device publishes n messages at QoS 1, reads the last PUBACK, disconnects, and everything is killed with -9
  at once; how many are missing afterwards? Floor: none.
- cpu: what a transaction of ingest costs without network and broker, see `ingest_cpu.py`.

`--ledger` compares the kit with and without its power-cut ledger instead.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ingest_cpu import measure_cpu
from ingest_sides import Side, payload, sides

from kit.broker.protocol.packets import Connack, Connect, Disconnect, Packet, Puback, Publish
from kit.broker.protocol.writer import encode

PACKET_IDS = 1_000
PUBACK_BYTES = len(encode(Puback(1)))


class Device:
    """A client with a window, as fast as it is acknowledged."""

    def __init__(self, side: Side, number: int, window: int) -> None:
        name = f"device-{number}"
        self.topic, self.window, self.sent, self.acknowledged = f"sensors/{name}", window, 0, 0
        self.socket = socket.create_connection(("127.0.0.1", side.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(Connect(client_id=name, username=name, password=side.passwords[name].encode()))
        answer = self.socket.recv(4)
        assert answer == encode(Connack(session_present=False, code=0)), answer
        # made beforehand: what is measured is the broker, not this program
        self._publishes = [encode(Publish(self.topic, payload(n), 1, packet_id=n)) for n in range(1, PACKET_IDS + 1)]
        self._rest = 0

    def send(self, *packets: Packet) -> None:
        self.socket.sendall(b"".join(map(encode, packets)))

    def publish(self, count: int) -> None:
        self.socket.sendall(b"".join(self._publishes[(self.sent + n) % PACKET_IDS] for n in range(count)))
        self.sent += count

    def fill_window(self) -> None:
        self.publish(self.window - (self.sent - self.acknowledged))

    def take_acknowledgements(self) -> int:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        complete, self._rest = divmod(self._rest + len(data), PUBACK_BYTES)
        self.acknowledged += complete
        return complete


def publish_for(side: Side, *, count: int, window: int, seconds: float) -> float:
    """Messages per second that reach the disk while `count` devices publish as fast as they may."""
    before = side.count()
    clients = [Device(side, number, window) for number in range(count)]
    started = time.perf_counter()
    with selectors.DefaultSelector() as ready:
        for client in clients:
            client.fill_window()
            ready.register(client.socket, selectors.EVENT_READ, client)
        while time.perf_counter() - started < seconds:
            for key, _ in ready.select(timeout=1):
                key.data.take_acknowledgements()
                key.data.fill_window()
    for client in clients:
        while client.acknowledged < client.sent:
            client.take_acknowledgements()
        client.socket.close()
    sent = sum(client.sent for client in clients)
    took = time.perf_counter() - started
    while True:
        asked = time.perf_counter()
        stored = side.count() - before
        if stored >= sent:
            break
        # what is being measured must not wait for who counts
        time.sleep(max(0.01, 3 * (time.perf_counter() - asked)))
        took = time.perf_counter() - started
    assert stored == sent, f"{stored} on disk, {sent} sent"
    return sent / took


def delays_of(side: Side, *, per_second: int, seconds: float, count: int = 20) -> list[float]:
    """Seconds from each PUBLISH to its PUBACK, `count` devices taking turns at a steady pace."""
    clients = [Device(side, number, 1) for number in range(count)]
    sent_at: list[list[float]] = [[] for _ in clients]
    delays: list[float] = []
    with selectors.DefaultSelector() as ready:
        for number, client in enumerate(clients):
            ready.register(client.socket, selectors.EVENT_READ, number)
        begin, sent, total = time.perf_counter(), 0, int(per_second * seconds)
        while len(delays) < total:
            wait = max(0.0, begin + sent / per_second - time.perf_counter()) if sent < total else 1.0
            for key, _ in ready.select(timeout=wait):
                client, now = clients[key.data], time.perf_counter()
                first = client.acknowledged
                last = first + client.take_acknowledgements()
                delays += [now - at for at in sent_at[key.data][first:last]]
            while sent < total and time.perf_counter() >= begin + sent / per_second:
                # the time it was due counts: whoever makes the sender late must not look fast
                sent_at[sent % count].append(begin + sent / per_second)
                clients[sent % count].publish(1)
                sent += 1
    for client in clients:
        client.socket.close()
    return delays


def burst(side: Side, size: int) -> int:
    """How many of `size` acknowledged messages are missing after kill -9 right behind the last PUBACK."""
    side.start()
    before = side.count()
    device = Device(side, 0, size)
    device.fill_window()
    while device.acknowledged < size:
        device.take_acknowledgements()
    device.send(Disconnect())
    device.socket.close()
    side.kill()
    side.start()  # whatever the broker kept may still arrive
    time.sleep(0.5)
    side.kill()
    return size - (side.count() - before)


NAMES = {
    "kit": "kit",
    "external": "chain, kit's ingest",
    "chain": "chain, plain rows",
    "bare": "bare listener",
    "unled": "without ledger",
}


def measure_rates(every: dict[str, Side], *, seconds: float, rounds: int) -> None:
    others = [kind for kind in every if kind != "kit"]
    print(
        "messages/s"
        + "".join(f"{NAMES[kind]:>21}" for kind in every)
        + "   medians of the ratios kit / …, and their range"
    )
    print("devices × window")
    for count, window in ((1, 20), (1, 50), (1, 200), (20, 20), (200, 20), (1, 1)):
        rates: dict[str, list[float]] = {kind: [] for kind in every}
        for number in range(rounds):
            turns = list(every.items())
            for kind, side in turns if number % 2 else reversed(turns):
                rates[kind].append(publish_for(side, count=count, window=window, seconds=seconds))
        told = []
        for kind in others:
            ratios = sorted(mine / theirs for mine, theirs in zip(rates["kit"], rates[kind], strict=True))
            told.append(f"{NAMES[kind]} {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        medians = "".join(f"{statistics.median(each):21.0f}" for each in rates.values())
        print(f"{count:4} × {window:<3}" + medians + "   " + ", ".join(told), flush=True)


def measure_delays(every: dict[str, Side], *, seconds: float, rounds: int) -> None:
    kinds = ("kit", "bare")
    pooled: dict[str, list[float]] = {kind: [] for kind in kinds}
    ratios: list[tuple[float, float]] = []
    for number in range(rounds):
        at = {}
        for kind in kinds if number % 2 else reversed(kinds):
            delays = delays_of(every[kind], per_second=1000, seconds=seconds)
            pooled[kind] += delays
            at[kind] = _percentiles(delays)
        ratios.append((at["kit"][0] / at["bare"][0], at["kit"][1] / at["bare"][1]))
    print(f"\nPUBLISH → PUBACK at 1,000/s{'p50':>12}{'p99':>12}   load {os.getloadavg()[0]:.1f}")
    for kind in kinds:
        median, late = _percentiles(pooled[kind])
        print(f"{kind:>27}{median * 1000:9.2f} ms{late * 1000:9.2f} ms")
    medians = [statistics.median(ratio[place] for ratio in ratios) for place in (0, 1)]
    print(f"{'kit / bare, all rounds':>27}" + "".join(f"{_ratio(pooled, place):12.1f}" for place in (0, 1)))
    print(f"{'median of the rounds':>27}{medians[0]:12.1f}{medians[1]:12.1f}", flush=True)
    print(f"{'p99 in each round':>27}   " + " ".join(f"{ratio[1]:.1f}" for ratio in ratios), flush=True)


def _percentiles(delays: list[float]) -> tuple[float, float]:
    ordered = sorted(delays)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def _ratio(pooled: dict[str, list[float]], place: int) -> float:
    return _percentiles(pooled["kit"])[place] / _percentiles(pooled["bare"])[place]


def measure_bursts(every: dict[str, Side]) -> None:
    both = {kind: every[kind] for kind in ("kit", "chain") if kind in every}
    print("\n" + f"{'burst':>8}" + "".join(f"{kind + ', missing':>18}" for kind in both))
    for size in (5, 20, 100, 400):
        print(f"{size:8}" + "".join(f"{burst(side, size):18}" for side in both.values()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("rates", "delays", "bursts", "cpu"))
    parser.add_argument("--ledger", action="store_true", help="the kit with and without its ledger")
    arguments = parser.parse_args()
    if arguments.only in {None, "cpu"} and not arguments.ledger:
        measure_cpu()
    if arguments.only == "cpu":
        return
    with sides(*(("kit", "unled") if arguments.ledger else ("kit", "external", "chain", "bare"))) as every:
        for side in every.values():
            side.start()
        if arguments.ledger:
            measure_rates(every, seconds=arguments.seconds, rounds=arguments.rounds)
            return
        if arguments.only in {None, "rates"}:
            measure_rates(every, seconds=arguments.seconds, rounds=arguments.rounds)
        if arguments.only in {None, "delays"}:
            measure_delays(every, seconds=arguments.seconds, rounds=arguments.rounds)
        print(f"\nmemory of the kit's broker with its collector: {every['kit'].memory_bytes() / 1e6:.0f} MB")
        for side in every.values():
            side.kill()
        if arguments.only in {None, "bursts"}:
            measure_bursts(every)


if __name__ == "__main__":
    main()
