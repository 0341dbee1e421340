"""kill -9 at the worst moment: whatever was acknowledged is there afterwards, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.broker.protocol.packets import Message, Puback, Pubcomp, Publish, Pubrec, Pubrel

if TYPE_CHECKING:
    from tests.broker.conftest import Unit


def test_a_burst_whose_last_puback_was_read_survives_sigkill(killable: Unit) -> None:
    for round_ in range(3):
        acknowledged: set[bytes] = set()
        with killable.connect("roof") as roof:
            roof.send(*[Publish("sensors/roof", b"%d-%d" % (round_, n), 1, packet_id=n) for n in range(1, 101)])
            while len(acknowledged) < 60:
                answer = roof.receive()
                assert isinstance(answer, Puback)
                acknowledged.add(b"%d-%d" % (round_, answer.packet_id))
            killable.kill()
        assert acknowledged <= set(killable.seen())
        assert len(killable.seen()) == len(set(killable.seen()))
        killable.start_process()


def test_retained_messages_and_kept_sessions_survive_sigkill(killable: Unit) -> None:
    with killable.connect("roof", clean=False) as roof:
        roof.subscribe("commands/roof/#", "alerts/#")
    with killable.connect() as service:
        service.publish("alerts/village", b"frost", retain=True)
        for n in range(1, 6):
            service.publish("commands/roof/x", b"%d" % n)
        killable.kill()
    killable.start_process()
    with killable.connect("roof", clean=False, present=True) as roof:
        got = [roof.receive() for _ in range(6)]
        assert [m.payload for m in got if isinstance(m, Publish)] == [b"frost", b"1", b"2", b"3", b"4", b"5"]
        assert not any(m.dup for m in got if isinstance(m, Publish))
        killable.kill()
    killable.start_process()
    with killable.connect("roof", clean=False, present=True) as roof:
        again = roof.receive()
        assert isinstance(again, Publish)
        assert (again.payload, again.dup) == (b"frost", True)
        with killable.connect("field") as field:
            assert field.subscribe("alerts/#") == (1,)
            field.expect(Publish("alerts/village", b"frost", 1, retain=True, packet_id=1))


def test_qos_2_is_exactly_once_through_sigkill_in_both_directions(killable: Unit) -> None:
    with killable.connect(clean=False) as service, killable.connect("roof", clean=False) as roof:
        service.subscribe("sensors/#", qos=2)
        roof.send(Publish("sensors/roof", b"x", 2, packet_id=9))
        roof.expect(Pubrec(9))
        service.expect(Publish("sensors/roof", b"x", 2, packet_id=1))
        service.send(Pubrec(1))
        service.expect(Pubrel(1))
        killable.kill()
    killable.start_process()
    with (
        killable.connect(clean=False, present=True) as service,
        killable.connect("roof", clean=False, present=True) as roof,
    ):
        service.expect(Pubrel(1))
        service.send(Pubcomp(1))
        roof.send(Publish("sensors/roof", b"x", 2, dup=True, packet_id=9))
        roof.expect(Pubrec(9))
        roof.send(Pubrel(9))
        roof.expect(Pubcomp(9))
        assert service.hears_nothing()
        killable.kill()
    killable.start_process()
    with killable.connect("roof", clean=False, present=True) as roof:
        roof.send(Publish("sensors/roof", b"the next under this id", 2, packet_id=9))
        roof.expect(Pubrec(9))
    assert killable.seen() == [b"x", b"the next under this id"]


def test_the_wills_of_clients_that_a_crash_cut_off_are_published_at_the_next_start(killable: Unit) -> None:
    with killable.connect(clean=False) as service:
        service.subscribe("sensors/#")
    with killable.connect("roof", will=Message("sensors/roof/alive", b"no", 1, retain=True)):
        killable.kill()
    killable.start_process()
    with killable.connect(clean=False, present=True) as service:
        service.expect(Publish("sensors/roof/alive", b"no", 1, packet_id=1))
        killable.kill()
    killable.start_process()
    assert killable.seen() == [b"no"]
    assert killable.rows("SELECT connected FROM mqtt_clients WHERE username = 'roof'") in ([], [(0,)])


def test_an_ended_session_does_not_come_back(killable: Unit) -> None:
    with killable.connect("roof", clean=False) as roof:
        roof.subscribe("commands/roof/#")
    with killable.connect() as service:
        service.publish("commands/roof/x", b"1")
    with killable.connect("roof", clean=True):
        killable.kill()
    killable.start_process()
    with killable.connect("roof", clean=False, present=False) as roof:
        assert roof.hears_nothing()
