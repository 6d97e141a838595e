"""Random trees, rows and a small whole model for the tests: no training library."""

from __future__ import annotations

import random
from math import nan

from protocols.prognostics.features import Feature, Plan
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.model import Model, Training, Validation
from protocols.prognostics.regimes import Regimes
from protocols.prognostics.trees import Ensemble, Tree


def tree(rng: random.Random, leaves: int, width: int) -> Tree:
    """A tree of random shape; thresholds from a coarse grid, so that equal ones are common."""
    columns: tuple[list[int], list[float], list[bool], list[int], list[int]] = ([], [], [], [], [])
    feature, at, missing_left, right, cover = columns

    def lay(left: int) -> int:
        place = len(feature)
        feature.append(-1)
        at.append(rng.gauss(0, 1))
        missing_left.append(False)
        right.append(0)
        cover.append(rng.randint(1, 50))
        if left > 1:
            feature[place] = rng.randrange(width)
            at[place] = rng.randint(-8, 8) / 4
            missing_left[place] = rng.random() < 0.5
            first = rng.randint(1, left - 1)
            below = lay(first)
            right[place] = len(feature)
            cover[place] = below + lay(left - first)
        return cover[place]

    lay(leaves)
    return Tree(*map(tuple, columns))  # type: ignore[arg-type]


def ensemble(rng: random.Random, trees: int, width: int, most: int = 16) -> Ensemble:
    """Trees of 1 to ``most`` leaves."""
    return Ensemble(rng.gauss(0, 9), tuple(tree(rng, rng.randint(1, most), width) for _ in range(trees)))


def row(rng: random.Random, width: int) -> list[float]:
    """Values on and between the thresholds of the grid, a tenth missing."""
    return [nan if rng.random() < 0.1 else rng.randint(-20, 20) / 8 for _ in range(width)]


def walked(grown: Ensemble, values: list[float]) -> float:
    """The sum by walking every tree: what the fast way must give to the last bit."""
    total = grown.baseline
    for one in grown.trees:
        node = 0
        while one.feature[node] >= 0:
            value = values[one.feature[node]]
            left = one.missing_left[node] if value != value else value <= one.at[node]
            node = node + 1 if left else one.right[node]
        total += one.at[node]
    return total


def model(seed: int = 1, trees: int = 20) -> Model:
    """Two regimes by one condition, three signals, every kind of feature."""
    rng = random.Random(seed)
    plan = Plan(
        (
            Feature("age", 0),
            Feature("last", 0),
            Feature("mean", 0, 5),
            Feature("spread", 1, 8),
            Feature("slope", 1, 12),
            Feature("smoothed", 2, 9),
            Feature("smoothed", 2, 3),
            Feature("life_mean", 2),
            Feature("life_slope", 0),
            Feature("drift", 1, 6),
            Feature("mean", 3, 4),
        ),
        first=10,
    )
    return Model(
        name="spindle",
        unit="h",
        horizon=125.0,
        signals=("vibration", "temperature", "current"),
        conditions=("speed",),
        regimes=Regimes(
            (100.0,),
            2.0,
            ((1000.0,), (3000.0,)),
            ((1.0, 40.0, 5.0), (2.0, 60.0, 9.0)),
            ((0.1, 2.0, 0.5), (0.2, 3.0, 0.9)),
        ),
        mixes=((0.8, 0.6, 0.1),),
        plan=plan,
        ensembles=(ensemble(rng, trees, len(plan.features)), ensemble(rng, trees, len(plan.features))),
        intervals=Intervals(0.9, (20.0, 60.0), (-8.0, -15.0, -30.0), (6.0, 14.0, 125.0)),
        expected=(),
        training=Training("a test", 12, 3000, 1_790_000_000_000_000, seed, {"none": "0"}),
        validation=Validation(5, 9.5, 0.9, 28.0),
    )
