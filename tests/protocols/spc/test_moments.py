"""Mean, standard deviation and autocorrelation against NIST's certified values (StRD, univariate)."""

import pytest

from protocols.spc.moments import autocorrelation, moments

MICHELSON = """
850 740 900 1070 930 850 950 980 980 880 1000 980 930 650 760 810 1000 1000 960 960
960 940 960 940 880 800 850 880 900 840 830 790 810 880 880 830 800 790 760 800
880 880 880 860 720 720 620 860 970 950 880 910 850 870 840 840 850 840 840 840
890 810 810 820 800 770 760 740 750 760 910 920 890 860 880 720 840 850 850 780
890 840 780 810 760 810 790 810 820 850 870 870 810 740 810 940 950 800 810 870
"""
SPEED = [299 + int(word) / 1000 for word in MICHELSON.split()]


def test_michelson() -> None:
    assert len(SPEED) == 100
    found = moments(SPEED)
    assert found.mean == pytest.approx(299.852400000000, rel=1e-14)
    assert found.sd == pytest.approx(0.0790105478190518, rel=1e-11)
    assert autocorrelation(SPEED) == pytest.approx(0.535199668621283, rel=1e-10)


@pytest.mark.parametrize(
    ("values", "mean", "sd", "r1"),
    [
        ([10000001.0, 10000003.0, 10000002.0], 10000002, 1, -0.5),
        ([1.2, *[1.1, 1.3] * 500], 1.2, 0.1, -0.999),
        ([1000000.2, *[1000000.1, 1000000.3] * 500], 1000000.2, 0.1, -0.999),
        ([10000000.2, *[10000000.1, 10000000.3] * 500], 10000000.2, 0.1, -0.999),
    ],
    ids=["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_digits_that_the_plain_formula_loses(values: list[float], mean: float, sd: float, r1: float) -> None:
    found = moments(values)
    assert found.mean == pytest.approx(mean, rel=1e-14)
    assert found.sd == pytest.approx(sd, rel=1e-6)
    assert autocorrelation(values) == pytest.approx(r1, abs=1e-6)
    naive = sum(v * v for v in values) / len(values) - (sum(values) / len(values)) ** 2
    if mean == 10000000.2:  # the last one is why: squares of such numbers have no room for the difference
        assert naive != pytest.approx(sd * sd * 1000 / 1001, rel=0.01)


def test_what_does_not_vary() -> None:
    assert moments([]).sd == moments([3.0]).sd == moments([3.0, 3.0]).sd == 0
    assert autocorrelation([3.0, 3.0, 3.0]) == 0
