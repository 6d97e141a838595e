"""The constants of control charts, computed once more in another way, and Student's t and chi-square."""

import math

import numpy as np
import pytest
from scipy import stats

from protocols.spc.constants import LARGEST, NoConstantError, c4, d2, d2_of_one_sample, d3
from protocols.spc.distributions import chi2_cdf, chi2_quantile, normal_of_t, t_cdf

STEP, REACH = 0.02, 8.0
GRID = np.arange(-REACH, REACH + STEP / 2, STEP)
BELOW = stats.norm.cdf(GRID)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 25])
def test_range_constants_by_integration_over_order_statistics(n: int) -> None:
    # Mean and mean square of the range from the distributions of the extremes (Tippett 1925), by the
    # trapezoid rule: over a triangle for the square, whose diagonal counts half.
    mean = STEP * (1 - BELOW**n - (1 - BELOW) ** n).sum()
    low, high = BELOW[:, None], BELOW[None, :]
    inside = 1 - high**n - (1 - low) ** n + np.clip(high - low, 0, 1) ** n
    square = 2 * STEP * STEP * (np.triu(inside, k=1).sum() + np.trace(inside) / 2)
    assert d2(n) == pytest.approx(mean, abs=1e-9)
    assert d3(n) == pytest.approx(math.sqrt(square - mean * mean), abs=1e-4)


def test_constants_of_the_handbooks() -> None:
    assert (d2(5), d3(5), c4(5)) == pytest.approx((2.32593, 0.864082, 0.939986), abs=5e-6)
    assert d2(2) == pytest.approx(2 / math.sqrt(math.pi), abs=1e-12)
    assert d3(2) == pytest.approx(math.sqrt(2 - 4 / math.pi), abs=1e-11)
    assert 1 / d2(3) == pytest.approx(0.5908, abs=5e-5)  # K1 of a gauge study with three trials
    assert 1 / d2_of_one_sample(3) == pytest.approx(0.5231, abs=5e-5)
    assert 1 / d2_of_one_sample(10) == pytest.approx(0.3146, abs=5e-5)


@pytest.mark.parametrize("n", [0, 1, LARGEST + 1])
def test_no_constant_outside_the_table(n: int) -> None:
    with pytest.raises(NoConstantError):
        d2(n)


def test_c4_needs_two_values() -> None:
    with pytest.raises(NoConstantError):
        c4(1)


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 18, 400])
@pytest.mark.parametrize("x", [-30.0, -2.5, -0.1, 0.0, 0.4, 3.0, 12.0])
def test_t_is_that_of_scipy(x: float, freedom: float) -> None:
    assert t_cdf(x, freedom) == pytest.approx(stats.t.cdf(x, freedom), rel=1e-10, abs=1e-14)
    wanted = stats.norm.isf(stats.t.sf(abs(x), freedom)) if x else 0.0
    assert normal_of_t(x, freedom) == pytest.approx(math.copysign(wanted, x), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("freedom", [0.6, 1, 9, 24, 49.5, 999])
@pytest.mark.parametrize("p", [1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])
def test_chi_square_is_that_of_scipy(p: float, freedom: float) -> None:
    x = chi2_quantile(p, freedom)
    assert x == pytest.approx(stats.chi2.ppf(p, freedom), rel=1e-8)
    assert chi2_cdf(x, freedom) == pytest.approx(p, rel=1e-8)
