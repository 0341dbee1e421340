"""The terminal tells the night once, in order, and never more than is known."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from kit.model.forecast import NightForecast
from kit.run.story import HOUR_MS, AlertMoment, Moment, Story

START = 1_461_448_800_000  # 2016-04-23 22:00 UTC, 15:00 in California

FORECAST = NightForecast(
    issued_ms=START,
    night="2016-04-24",
    device="orchard",
    sunset_ms=START + 5 * HOUR_MS,
    sunrise_ms=START + 15 * HOUR_MS,
    tmin_c=-1.24,
    tmin_p10_c=-3.0,
    tmin_p90_c=0.5,
    p_frost=0.8,
    threshold_c=0.0,
    expected_below_ms=START + 11 * HOUR_MS,
    basis="site",
    nights_learned=20,
    warning=False,
)
ALERT = AlertMoment(identifier="a", sent_ms=START + HOUR_MS, onset_ms=START + 11 * HOUR_MS, ended=False)


def moment(hours: float, **values: object) -> Moment:
    return replace(Moment(now_ms=START + int(hours * HOUR_MS), air_c=12.0, forecast=None), **values)  # type: ignore[arg-type]


def tell(*moments: Moment) -> list[str]:
    story = Story(timezone=ZoneInfo("America/Los_Angeles"), portal="http://kit/")
    return [line for each in moments for line in story.look(each)]


def test_the_beginning_is_told_once_in_local_time() -> None:
    assert tell(moment(0, history_days=46), moment(0.1)) == [
        "15:00  Saturday 23 April 2016. The air is 12.0 °C. 46 days of this site are in the store."
    ]


def test_a_forecast_is_told_with_its_uncertainty_and_again_when_it_moves() -> None:
    moved = replace(FORECAST, tmin_c=-2.4)
    lines = tell(moment(0), moment(1, forecast=FORECAST), moment(2, forecast=FORECAST), moment(3, forecast=moved))
    assert lines[1:] == [
        (
            "16:00  Forecast for the night: −1.2 °C expected, eight nights in ten −3.0 °C to 0.5 °C; "
            "chance of 0.0 °C: 80%."
        ),
        "18:00  The forecast is now −2.4 °C (−3.0 °C to 0.5 °C).",
    ]


def test_a_warning_is_unconfirmed_until_a_person_says_so() -> None:
    seen = replace(ALERT, left_by="lora", receipts=(("Amina", ""),))
    lines = tell(
        moment(0),
        moment(1, alerts=(ALERT,), siren=True),
        moment(4, alerts=(ALERT,)),
        moment(5, alerts=(seen,)),
        moment(9, alerts=(seen,)),
        moment(10, alerts=(replace(seen, core_by="lora", receipts=(("Amina", "lora"),)),)),
    )
    assert lines[1:] == [
        (
            "16:00  FROST WARNING from about 02:00, in 10.0 hours. Nobody has confirmed it: "
            'open http://kit/ and press "I have seen this".'
        ),
        "16:00  The siren sounds.",
        "19:00  Still nobody has confirmed the warning (http://kit/).",
        "20:00  The warning left the village over lora.",
        "20:00  Amina has seen the warning.",
        "01:00  The city core has the warning (acknowledged over lora).",
        "01:00  The city core knows that Amina has seen it (acknowledged over lora).",
    ]
    assert not any("delivered" in line for line in lines)


def test_the_lead_time_is_measured_when_the_threshold_is_reached_and_the_minimum_at_the_all_clear() -> None:
    lines = tell(
        moment(0),
        moment(1, alerts=(ALERT,)),
        moment(2, alerts=(ALERT,), air_c=-0.1, forecast=None),
        moment(2.5, alerts=(ALERT,), air_c=-2.25),
        moment(3, alerts=(replace(ALERT, ended=True),), air_c=3.0),
    )
    assert "17:00  The air has reached 0.0 °C, 1.0 hours after the warning." in lines
    assert lines[-1] == "18:00  All clear. The coldest was −2.2 °C."


def test_each_night_has_its_own_coldest_hour() -> None:
    tomorrow = replace(FORECAST, night="2016-04-25")
    second = replace(ALERT, identifier="b", sent_ms=START + 25 * HOUR_MS)
    lines = tell(
        moment(0, forecast=FORECAST),
        moment(10, alerts=(ALERT,), air_c=-3.9),
        moment(17, alerts=(replace(ALERT, ended=True),), air_c=2.0),
        moment(24, forecast=tomorrow),
        moment(25, forecast=tomorrow, alerts=(second,), air_c=1.0),
        moment(40, alerts=(replace(second, ended=True),), air_c=5.0),
    )
    assert [line.split("  ", 1)[1] for line in lines if "All clear" in line] == [
        "All clear. The coldest was −3.9 °C.",
        "All clear. The coldest was 1.0 °C.",
    ]


def test_the_wide_link_is_told_when_it_comes_and_when_it_has_caught_up() -> None:
    up = frozenset({"lora", "cellular"})
    lines = tell(moment(0), moment(1, links_up=up, waiting=40), moment(2, links_up=up, waiting=0))
    assert lines[1:] == [
        "16:00  The mobile network is there: 40 records fill in behind.",
        "17:00  Everything the kit wrote is at the city core.",
    ]
