"""What a device's grants let it do, at the real broker: its own topics and nobody else's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.broker.access import Hearing, covers, hearing, overlapping
from kit.broker.protocol.topics import is_topic_filter, matches
from kit.model.grants import Grants

levels = st.sampled_from(["a", "b", "+", "#", ""])
filters = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(is_topic_filter)
names = st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4).map("/".join).filter(bool)

TASMOTA = Grants(publish=("tele/pump/#", "stat/pump/#"), hear=("tasmota/discovery/#",), read=("cmnd/pump/#",))


def test_what_a_dialect_says_by_its_nature_is_heard_and_goes_no_further() -> None:
    assert hearing("pump", "tele/pump/SENSOR", TASMOTA) is Hearing.OWN
    assert hearing("pump", "tasmota/discovery/AA/config", TASMOTA) is Hearing.HEARD
    for foreign in ("tele/other/SENSOR", "sensors/pump", "cmnd/pump/POWER", "alerts/village", "$SYS/x", "tele"):
        assert hearing("pump", foreign, TASMOTA) is Hearing.REFUSED


@given(filters, filters, names)
def test_a_filter_that_covers_another_matches_whatever_that_one_matches(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and matches(narrow, name):
        assert matches(wide, name)


@given(filters, filters, names)
def test_filters_that_do_not_overlap_have_no_topic_in_common(one: str, other: str, name: str) -> None:
    if overlapping([one], [other]) is None:
        assert not (matches(one, name) and matches(other, name))


def test_overlap_is_found_where_there_is_one() -> None:
    for one, other in (("a/#", "a"), ("a/+/c", "a/b/#"), ("#", "x/y"), ("a/b", "a/b"), ("+/b", "a/+")):
        assert overlapping([one], [other]) == (one, other)
    for one, other in (("a/#", "b/#"), ("a/b", "a/b/c"), ("a/+/c", "a/b/d"), ("tele/a/#", "tele/ab/#")):
        assert overlapping([one], [other]) is None
