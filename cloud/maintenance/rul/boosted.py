"""Histogram gradient boosting of scikit-learn: the one place that fits it, and its trees as ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from cloud.maintenance.rul.cores import one_thread_each
from cloud.maintenance.rul.runs import Floats
from protocols.prognostics.trees import MAX_LEAVES, Ensemble, Tree

Regressor = Any
"""An estimator of scikit-learn, which has no types."""

LARGEST = sys.float_info.max
"""Stands for the infinite threshold of a split "missing or not": no feature of ours is infinite."""


class Growth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How trees are grown; the names are those of scikit-learn. Chosen by cross-validation, for the half of
    rows and features that one of two members learns from.
    """

    max_iter: int = 200
    learning_rate: float = 0.05
    max_leaf_nodes: int = 15
    min_samples_leaf: int = 50
    l2_regularization: float = 10.0
    max_features: float = 0.3

    def __post_init__(self) -> None:
        if self.max_leaf_nodes > MAX_LEAVES:
            raise ValueError(f"{self.max_leaf_nodes} leaves a tree: a model file takes {MAX_LEAVES}")

    def for_rows(self, rows: int) -> Growth:
        """The same with smaller leaves where there are few rows: at most a fiftieth of them in the least."""
        least = max(5, min(self.min_samples_leaf, rows // 50))
        return msgspec.structs.replace(self, min_samples_leaf=least)


def regressor(growth: Growth, seed: int) -> Regressor:
    """A regressor that is not fitted yet."""
    one_thread_each()
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        early_stopping=False, random_state=seed, **msgspec.to_builtins(growth)
    )


def classifier(growth: Growth, seed: int) -> Regressor:
    """The same for two classes."""
    one_thread_each()
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        early_stopping=False, random_state=seed, **msgspec.to_builtins(growth)
    )


def ensemble(fitted: Any, features: Sequence[int] | None = None) -> Ensemble:
    """The trees of a fitted regressor or two-class classifier, whose raw sum they give bit for bit.

    ``features`` are the places in a model's row of those that it was fitted to; left out, it was all.
    """
    trees = [predictors[0] for predictors in fitted._predictors]
    baseline = float(np.asarray(fitted._baseline_prediction).ravel()[0])
    return Ensemble(baseline, tuple(_tree(predictor.nodes, features) for predictor in trees))


def raw_sums(fitted: Any, rows: Floats) -> Floats:
    """What a fitted model of scikit-learn gives for rows of features, before any link function."""
    return np.asarray(fitted._raw_predict(rows)).ravel()


def _tree(nodes: Any, features: Sequence[int] | None) -> Tree:
    feature: list[int] = []
    at: list[float] = []
    missing_left: list[bool] = []
    right: list[int] = []
    cover: list[int] = []

    def lay(number: int) -> None:
        node, place = nodes[number], len(feature)
        leaf = bool(node["is_leaf"])
        if node["is_categorical"] and not leaf:
            raise ValueError("a split by category has no place in a model file")
        asked = int(node["feature_idx"])
        feature.append(-1 if leaf else asked if features is None else features[asked])
        at.append(float(node["value"]) if leaf else min(float(node["num_threshold"]), LARGEST))
        missing_left.append(not leaf and bool(node["missing_go_to_left"]))
        right.append(0)
        cover.append(int(node["count"]))
        if not leaf:
            lay(int(node["left"]))
            right[place] = len(feature)
            lay(int(node["right"]))

    lay(0)
    return Tree(tuple(feature), tuple(at), tuple(missing_left), tuple(right), tuple(cover))
