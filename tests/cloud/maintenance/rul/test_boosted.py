"""Our trees against those of scikit-learn they were taken from: the same sums, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.maintenance.rul import boosted
from cloud.maintenance.rul.boosted import Growth
from protocols.prognostics.trees import Scorer


def rows(count: int, width: int, missing: float, seed: int = 0) -> np.ndarray:
    """Continuous, coarse (many equal values) and constant columns."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, width))
    table[:, ::3] = np.round(table[:, ::3])
    table[:, -1] = 1.0
    table[rng.random(table.shape) < missing] = np.nan
    return table


@pytest.mark.parametrize("missing", [0.0, 0.08])
@pytest.mark.parametrize("leaves", [2, 16])
def test_a_regressor_sums_to_the_same_bits(missing: float, leaves: int) -> None:
    table = rows(1500, 20, missing)
    truth = np.nansum(table[:, :6], axis=1) + np.nan_to_num(table[:, 1] * table[:, 2])
    fitted = boosted.regressor(Growth(max_iter=60, max_leaf_nodes=leaves), seed=3).fit(table, truth)
    scorer = Scorer(boosted.ensemble(fitted), 20)
    asked = np.vstack([table, rows(2500, 20, 0.2, seed=1), np.full((1, 20), np.nan)])

    assert [scorer(row) for row in asked.tolist()] == boosted.raw_sums(fitted, asked).tolist()


def test_a_classifier_sums_to_the_same_bits() -> None:
    table = rows(1500, 9, 0.05)
    truth = np.nan_to_num(table[:, 0] + table[:, 1]) > 0.4
    fitted = boosted.classifier(Growth(max_iter=40), seed=3).fit(table, truth)
    scorer = Scorer(boosted.ensemble(fitted), 9)
    asked = rows(2000, 9, 0.2, seed=2)

    assert [scorer(row) for row in asked.tolist()] == boosted.raw_sums(fitted, asked).tolist()


def test_values_on_a_threshold_go_the_same_way() -> None:
    """Rows made of the thresholds themselves and their neighbours among the doubles."""
    table = rows(800, 4, 0.0)
    fitted = boosted.regressor(Growth(max_iter=30, min_samples_leaf=5), seed=1).fit(table, table[:, 0] ** 2)
    ensemble = boosted.ensemble(fitted)
    thresholds = [
        at for tree in ensemble.trees for f, at in zip(tree.feature, tree.at, strict=True) if f >= 0
    ]
    near = np.array([[np.nextafter(at, side) for side in (-np.inf, at, np.inf)] for at in thresholds]).ravel()
    asked = np.repeat(near[:, None], 4, axis=1)
    scorer = Scorer(ensemble, 4)

    assert [scorer(row) for row in asked.tolist()] == boosted.raw_sums(fitted, asked).tolist()


def test_more_leaves_than_a_model_file_takes_are_refused_before_training() -> None:
    with pytest.raises(ValueError, match="31 leaves a tree: a model file takes 16"):
        Growth(max_leaf_nodes=31)
