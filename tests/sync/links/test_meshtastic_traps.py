"""The ways in which a Meshtastic radio and its library let a program down, and that the link gets over each."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import serial
from returning import returns

from sync.links.meshtastic import MeshtasticLink
from sync.links.port import LinkError, LinkState


def test_a_silent_close_is_noticed_and_the_link_comes_back(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.do(0, "close")
    wait(lambda: near.state() is LinkState.UP, what=near.explain())
    wait(lambda: near.send(b"after the gap", priority=1), what=near.explain())
    assert [arrival.frame for arrival in drain(far, until=b"after the gap")] == [b"after the gap"]


def test_a_frame_sent_while_the_radio_is_gone_is_refused_not_lost(radios: Any, wait: Any) -> None:
    near, _ = radios.open_pair()
    radios.stop()
    wait(lambda: near.state() is LinkState.DOWN, what="down")
    assert not near.send(b"nobody", priority=0)
    wait(lambda: "nothing answers" in near.explain(), what=near.explain())
    radios.start()


def test_a_port_that_refused_is_tried_until_the_radio_is_alive(radios: Any, wait: Any) -> None:
    radios.stop()
    near = radios.link(0)
    near.open()
    wait(lambda: near.state() is LinkState.DOWN, what="down")
    assert "switch the radio on" in near.explain()
    time.sleep(0.6)
    radios.start()
    wait(lambda: near.state() is LinkState.UP, what=near.explain())


def test_a_radio_that_says_nothing_any_more_is_noticed(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.set(radios={"0": {"mute": True}})
    wait(lambda: near.state() is not LinkState.UP, what="noticed")
    wait(lambda: "nothing any more" in near.explain(), what=near.explain())
    assert not near.send(b"to a mute radio", priority=0)
    radios.set(radios={})
    wait(lambda: near.state() is LinkState.UP, seconds=25, what=near.explain())
    wait(lambda: near.send(b"well again", priority=1), what=near.explain())
    assert b"well again" in [arrival.frame for arrival in drain(far, until=b"well again")]


def test_a_stuck_queue_makes_the_link_busy_never_hangs_it(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.set(radios={"0": {"stuck_queue": True}})
    wait(lambda: not returns(lambda: near.send(b"x", priority=2), what="a send"), what="full")
    wait(lambda: "does not drain" in near.explain(), what=near.explain())
    assert near.state() is LinkState.BUSY
    assert not near.send(b"even an alert", priority=0)
    radios.set(radios={})
    wait(lambda: near.state() is LinkState.UP, what=near.explain())
    wait(lambda: near.send(b"drains again", priority=2), what=near.explain())
    assert b"drains again" in [arrival.frame for arrival in drain(far, until=b"drains again")]


def test_a_truncated_frame_costs_some_packets_but_not_the_link(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.do(1, "truncate")
    for number in range(8):
        wait(lambda frame=bytes([number]) * 40: near.send(frame, priority=2), what=near.explain())
    assert 1 <= len(drain(far, seconds=1.0)) <= 8
    wait(lambda: far.state() is LinkState.UP, what=far.explain())
    wait(lambda: near.send(b"whole", priority=2), what=near.explain())
    assert b"whole" in [arrival.frame for arrival in drain(far, until=b"whole")]


def test_a_reboot_is_survived(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.do(1, "reboot")
    wait(lambda: far.state() is not LinkState.UP, what="down")
    wait(lambda: far.state() is LinkState.UP, what=far.explain())
    wait(lambda: near.send(b"after the reboot", priority=1), what=near.explain())
    assert [arrival.frame for arrival in drain(far, until=b"after the reboot")] == [b"after the reboot"]


def test_a_reboot_in_the_middle_of_a_transfer_loses_what_the_radio_held_and_no_more(
    radios: Any, wait: Any, drain: Any
) -> None:
    near, far = radios.open_pair()
    taken: list[bytes] = []
    for number in range(20):
        if number == 8:
            radios.do(0, "reboot")
        frame = b"part %d" % number
        wait(lambda frame=frame: near.send(frame, priority=4), seconds=20, what=near.explain())
        taken.append(frame)
    arrived = [arrival.frame for arrival in drain(far, until=b"part 19")]
    lost = [frame for frame in taken if frame not in arrived]
    assert len(arrived) == len(set(arrived))
    assert len(lost) <= 4, lost  # two in the radio, two in the link; the session sends them again
    assert b"part 19" in arrived


def test_what_the_mesh_delivers_twice_arrives_once(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.set(duplicate=1.0)
    wait(lambda: near.send(b"twice on the air", priority=1), what=near.explain())
    assert [arrival.frame for arrival in drain(far, until=b"twice on the air")] == [b"twice on the air"]


def test_a_radio_with_the_wrong_region_is_set_right(radios: Any, wait: Any) -> None:
    radios.stop()
    radios.start(region="UNSET")
    near = radios.link(0)
    near.open()
    wait(lambda: "had UNSET and LONG_FAST; it was set to EU_868" in near.explain(), what=near.explain())
    wait(lambda: near.state() is LinkState.UP, seconds=15, what=near.explain())
    assert "EU_868" in near.explain()


def test_an_alert_has_air_when_the_hour_is_spent(radios: Any, wait: Any) -> None:
    near, _ = radios.open_pair()
    wait(lambda: not near.send(bytes(200), priority=4) and "only alerts go out" in near.explain(), what=near.explain())
    assert near.state() is LinkState.BUSY
    assert near.send(b"frost tonight", priority=0)
    assert not near.send(bytes(200), priority=1)


def test_the_spent_hour_survives_a_restart(radios: Any, wait: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "air-ledger.json"
    first = radios.link(0, ledger=ledger)
    first.open()
    wait(lambda: not first.send(bytes(200), priority=4) and "only alerts go out" in first.explain(), what="spent")
    first.close()
    second = radios.link(0, ledger=ledger)
    second.open()
    wait(lambda: second.state() is LinkState.BUSY, what=second.explain())
    assert not second.send(bytes(200), priority=4)


def test_the_hop_limit_travels_with_every_packet(radios: Any, wait: Any) -> None:
    from meshtastic.tcp_interface import TCPInterface

    heard: list[int] = []

    class Listener(TCPInterface):  # type: ignore[misc] # the library has no types
        def _handlePacketFromRadio(self, meshPacket: Any, hack: bool = False) -> None:  # noqa: N802, N803
            del hack
            heard.append(meshPacket.hop_limit)

    near = radios.link(0, hop_limit=5)
    near.open()
    listener = Listener("127.0.0.1", portNumber=radios.ports[1])
    wait(lambda: near.send(b"far away", priority=1), what=near.explain())
    wait(lambda: heard, what="heard")
    assert heard == [5]
    listener.close()


def test_a_hop_limit_of_nothing_is_sent_as_nothing_and_the_radio_is_set_to_it(radios: Any, wait: Any) -> None:
    """The library sends hop limit 0 when it is told nothing; the kit always tells, and 0 only when it is asked for."""
    near = radios.link(0, hop_limit=0)
    near.open()
    wait(lambda: "had hop limit 3; it was set to EU_868 and LONG_FAST, hop limit 0" in near.explain(), what="set")
    wait(lambda: near.state() is LinkState.UP, seconds=15, what=near.explain())
    assert near.facts()["hop_limit"] == 0
    assert near.facts()["verified"]


def test_the_channel_is_set_and_checked(radios: Any, wait: Any) -> None:
    near = radios.link(0, channel="orchard")
    near.open()
    wait(lambda: 'had channel ""; it was set to' in near.explain(), what="set")
    wait(lambda: near.state() is LinkState.UP, seconds=15, what=near.explain())
    assert 'channel "orchard"' in near.explain()
    near.close()
    again = radios.link(0, channel="orchard")  # the radio has kept it
    again.open()
    wait(lambda: again.state() is LinkState.UP, what=again.explain())
    assert again.facts()["channel"] == "orchard"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("TOO_LARGE", "update its firmware"),
        ("NO_CHANNEL", "no channel to send on"),
        ("MAX_RETRANSMIT", ""),
    ],
)
def test_a_frame_that_the_radio_refuses_is_counted_and_what_a_person_can_mend_is_said(
    radios: Any, wait: Any, drain: Any, error: str, word: str
) -> None:
    near, far = radios.open_pair()
    radios.set(radios={"0": {"refuse": error}})
    wait(lambda: near.send(b"refused", priority=2), what=near.explain())
    wait(lambda: near.facts()["refused"].get(error), what="counted")
    assert word in near.fault()
    assert bool(word) == bool(near.fault())
    assert near.state() in (LinkState.UP, LinkState.BUSY)
    radios.set(radios={})
    wait(lambda: near.send(b"goes again", priority=1), what=near.explain())
    assert b"goes again" in [arrival.frame for arrival in drain(far, until=b"goes again")]


def test_a_radio_whose_own_share_of_air_is_spent_is_left_alone_for_a_minute(radios: Any, wait: Any, drain: Any) -> None:
    near, far = radios.open_pair()
    radios.set(radios={"0": {"refuse": "DUTY_CYCLE_LIMIT"}})
    wait(lambda: near.send(b"refused", priority=2), what=near.explain())
    wait(lambda: near.state() is LinkState.BUSY, what=near.explain())
    assert "airtime is spent" in near.explain()
    assert near.fault() == ""  # it mends itself
    assert not near.send(b"not even an alert while the radio refuses", priority=0)
    radios.set(radios={})
    wait(lambda: near.send(b"goes again", priority=1), what=near.explain())
    assert b"goes again" in [arrival.frame for arrival in drain(far, until=b"goes again")]


def test_a_client_that_says_nothing_is_closed_after_a_quarter_of_an_hour_and_the_kit_never_is(
    radios: Any, wait: Any
) -> None:
    import socket

    near = radios.link(0)
    near.open()
    wait(lambda: near.state() is LinkState.UP, what=near.explain())
    idle = socket.create_connection(("127.0.0.1", radios.ports[1]))
    try:
        idle.settimeout(12)
        before = radios.clock.monotonic()
        while idle.recv(4096):
            pass
        assert radios.clock.monotonic() - before >= 900
    except TimeoutError:
        pytest.fail("the radio keeps an idle client")
    finally:
        idle.close()
    assert near.state() is LinkState.UP  # all that time without a frame: its heartbeats kept it
    assert near.fault() == ""


def test_a_message_in_the_gap_is_not_taken_as_sent(radios: Any, wait: Any, drain: Any) -> None:
    """While the radio's port is dead the library takes frames and loses them; the link does not take them."""
    near, far = radios.open_pair()
    radios.do(0, "close")
    taken = []
    for number in range(200):
        frame = b"gap %d" % number
        if near.send(frame, priority=2):
            taken.append(frame)
        time.sleep(0.002)
    wait(lambda: near.send(b"after", priority=1), what=near.explain())
    arrived = [arrival.frame for arrival in drain(far, until=b"after")]
    assert b"after" in arrived
    # what was in the radio's hands when it hung up may be lost: two frames and the two of the outbox
    assert len([frame for frame in taken if frame not in arrived]) <= 4


def test_the_library_prints_nothing(radios: Any, wait: Any, capfd: pytest.CaptureFixture[str]) -> None:
    near, _ = radios.open_pair()
    for action in ("truncate", "close", "reboot"):
        radios.do(0, action)
        wait(lambda: near.state() is LinkState.UP, what=near.explain())
    assert capfd.readouterr() == ("", "")


def test_a_radio_on_a_serial_lead_is_used_the_same_way(radios: Any, wait: Any, drain: Any) -> None:
    import socket

    controller, device = os.openpty()
    serial.Serial(os.ttyname(device)).close()  # raw mode, as a USB UART is
    bridge = socket.create_connection(("127.0.0.1", radios.ports[0]))
    threading.Thread(target=pump, args=(lambda: os.read(controller, 512), bridge.sendall), daemon=True).start()
    threading.Thread(
        target=pump, args=(lambda: bridge.recv(512), lambda data: os.write(controller, data)), daemon=True
    ).start()
    near = MeshtasticLink(
        radio=f"serial:{os.ttyname(device)}", region="EU_868", preset="LONG_FAST", hop_limit=3, clock=radios.clock
    )
    far = radios.link(1)
    near.open()
    far.open()
    wait(lambda: near.state() is LinkState.UP and far.state() is LinkState.UP, what=near.explain())
    wait(lambda: near.send(b"over the lead", priority=1), what=near.explain())
    assert [arrival.frame for arrival in drain(far, until=b"over the lead")] == [b"over the lead"]
    returns(near.close, what="closing")
    bridge.close()


def pump(read: Any, write: Any) -> None:
    try:
        while data := read():
            write(data)
    except OSError:
        return


@pytest.mark.parametrize(
    ("radio", "hint"),
    [
        ("serial:/dev/ttyNOSUCH0", "plug the radio's USB lead in"),
        ("tcp:127.0.0.1:1", "switch the radio on"),
    ],
)
def test_a_radio_that_is_not_there_says_what_to_do(radios: Any, wait: Any, radio: str, hint: str) -> None:
    link = MeshtasticLink(radio=radio, region="EU_868", preset="LONG_FAST", hop_limit=3, clock=radios.clock)
    link.open()
    wait(lambda: hint in link.explain(), what=link.explain())
    assert link.state() is LinkState.DOWN
    link.close()


@pytest.mark.parametrize("radio", ["", "usb", "tcp:host", "tcp:host:port", "tcp::4403", "serial:"])
def test_a_radio_address_that_is_none_is_refused_with_an_example(radios: Any, radio: str) -> None:
    with pytest.raises(LinkError, match=r"tcp:192\.168\.1\.20:4403"):
        MeshtasticLink(radio=radio, region="EU_868", preset="LONG_FAST", hop_limit=3, clock=radios.clock)


def test_an_unknown_preset_is_refused_with_those_that_exist(radios: Any) -> None:
    with pytest.raises(LinkError, match="SHORT_FAST"):
        MeshtasticLink(radio="tcp:h:1", region="EU_868", preset="LONGFAST", hop_limit=3, clock=radios.clock)
