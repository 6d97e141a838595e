"""Gauge repeatability and reproducibility by average and range (AIAG, Measurement Systems Analysis, 4th ed.).

Pure. Constants are exact, where the manual's tables are rounded to four digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec

from protocols.spc.constants import d2, d2_of_one_sample


class GaugeStudy(msgspec.Struct, frozen=True):
    """Standard deviations: equipment, appraiser, gauge, part and total variation.

    ``percent`` is the gauge's share of the total variation, ``categories`` how many groups of parts the gauge
    can tell apart (ndc, 5 or more are wanted).
    """

    mean_range: float
    ev: float
    av: float
    grr: float
    pv: float
    tv: float
    percent: float
    categories: int


class StudyError(ValueError):
    """Measurements that make no study."""


def gauge_study(measured: Sequence[Sequence[Sequence[float]]]) -> GaugeStudy:
    """The study of ``measured[operator][trial][part]``.

    Raises:
        StudyError: fewer than two operators, trials or parts, or not all the same number.
    """
    operators, trials, parts = len(measured), len(measured[0]), len(measured[0][0])
    shapes = {len(trial) for operator in measured for trial in operator} | {parts}
    if min(operators, trials, parts) < 2 or {len(o) for o in measured} != {trials} or shapes != {parts}:
        raise StudyError("a study needs two operators, two trials and two parts at least, the same for all")
    by_part = [[[trial[part] for trial in operator] for part in range(parts)] for operator in measured]
    mean_range = fmean(max(cell) - min(cell) for operator in by_part for cell in operator)
    means = [fmean(value for cell in operator for value in cell) for operator in by_part]
    part_means = [fmean(v for operator in by_part for v in operator[part]) for part in range(parts)]
    ev = mean_range / d2(trials)
    reproducibility = (max(means) - min(means)) / d2_of_one_sample(operators)
    av = math.sqrt(max(0.0, reproducibility**2 - ev**2 / (parts * trials)))
    pv = (max(part_means) - min(part_means)) / d2_of_one_sample(parts)
    grr = math.hypot(ev, av)
    tv = math.hypot(grr, pv)
    if not tv:
        raise StudyError("all measurements are the same: the gauge shows nothing")
    categories = int(1.41 * pv / grr) if grr else 0
    return GaugeStudy(mean_range, ev, av, grr, pv, tv, 100 * grr / tv, categories)
