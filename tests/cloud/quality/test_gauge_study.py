"""The gauge study of AIAG's manual: 10 parts, 3 operators, 3 trials."""

import pytest

from cloud.quality.gauge_study import StudyError, gauge_study

AIAG = """
0.29 -0.56 1.34 0.47 -0.80 0.02 0.59 -0.31 2.26 -1.36
0.41 -0.68 1.17 0.50 -0.92 -0.11 0.75 -0.20 1.99 -1.25
0.64 -0.58 1.27 0.64 -0.84 -0.21 0.66 -0.17 2.01 -1.31
0.08 -0.47 1.19 0.01 -0.56 -0.20 0.47 -0.63 1.80 -1.68
0.25 -1.22 0.94 1.03 -1.20 0.22 0.55 0.08 2.12 -1.62
0.07 -0.68 1.34 0.20 -1.28 0.06 0.83 -0.34 2.19 -1.50
0.04 -1.38 0.88 0.14 -1.46 -0.29 0.02 -0.46 1.77 -1.49
-0.11 -1.13 1.09 0.20 -1.07 -0.67 0.01 -0.56 1.45 -1.77
-0.15 -0.96 0.67 0.11 -1.45 -0.49 0.21 -0.49 1.87 -2.16
"""
ROWS = [[float(word) for word in line.split()] for line in AIAG.strip().splitlines()]
MEASURED = [ROWS[0:3], ROWS[3:6], ROWS[6:9]]


def test_the_study_of_the_manual() -> None:
    found = gauge_study(MEASURED)
    assert found.mean_range == pytest.approx(0.3417, abs=5e-5)
    assert found.ev == pytest.approx(0.2019, abs=1e-4)
    assert found.av == pytest.approx(0.2297, abs=1e-4)
    assert found.grr == pytest.approx(0.3058, abs=1e-4)
    assert found.pv == pytest.approx(1.1046, abs=2e-4)
    assert found.tv == pytest.approx(1.1461, abs=2e-4)
    assert found.percent == pytest.approx(26.68, abs=0.02)
    assert found.categories == 5


@pytest.mark.parametrize("bad", [MEASURED[:1], [rows[:1] for rows in MEASURED], [*MEASURED[:2], ROWS[6:8]]])
def test_a_study_needs_two_of_everything(bad: list[list[list[float]]]) -> None:
    with pytest.raises(StudyError):
        gauge_study(bad)
