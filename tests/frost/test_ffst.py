from __future__ import annotations

import pytest

from village_apps.frost.ffst import RadiationNight, fit_ffst
from village_apps.frost.psychrometrics import air_pressure_kpa, dew_point_c

# Snyder & de Melo-Abreu (2005), Frost Protection vol. 1, FAO, chapter 5, the worked example
T0 = (3.2, 0.8, 0.2, 2.6, 4.4, 5.2, 2.7, 1.2, 4.5, 5.6)
TD0 = (-4.2, -8.8, -6.5, -6.2, -6.1, 2.6, -0.7, -1.7, -1.2, 0.1)
TMIN = (-3.1, -5.0, -6.3, -5.4, -4.0, -2.5, -4.8, -5.0, -4.4, -3.3)


def test_the_worked_example_of_the_fao_comes_out_as_printed() -> None:
    fitted = fit_ffst([RadiationNight(*row) for row in zip(T0, TD0, TMIN, strict=True)])
    assert fitted is not None
    assert fitted.slope_t0 == pytest.approx(0.50281, abs=1e-5)
    assert fitted.slope_td0 == pytest.approx(0.026472, abs=1e-6)
    assert fitted.intercept_c == pytest.approx(-5.82199, abs=1e-5)
    assert fitted.nights == 10


def test_without_dew_points_the_first_step_alone_is_fitted() -> None:
    fitted = fit_ffst([RadiationNight(t0, None, tmin) for t0, tmin in zip(T0, TMIN, strict=True)])
    assert fitted is not None
    assert fitted.slope_td0 == 0.0
    assert fitted.minimum_c(3.0, -2.0) == fitted.minimum_c(3.0, None)


def test_nine_nights_are_too_few_and_equal_nights_teach_nothing() -> None:
    assert fit_ffst([RadiationNight(t0, None, t0 - 5) for t0 in range(9)]) is None
    assert fit_ffst([RadiationNight(3.0, None, -1.0)] * 20) is None


def test_water_vapour_agrees_with_the_tables_of_fao_56() -> None:
    assert dew_point_c(25.0, 50.0) == pytest.approx(13.9, abs=0.1)
    assert air_pressure_kpa(1800) == pytest.approx(81.8, abs=0.1)  # FAO-56, example 2
