"""Sums of trees to the last bit, and trees that are none."""

from __future__ import annotations

import random
from math import inf, nan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.prognostics.trees import MAX_LEAVES, Ensemble, Scorer, Tree, TreeError, contributions
from tests.protocols.prognostics import grown


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), trees=st.integers(0, 30), width=st.integers(1, 12))
def test_the_sum_is_that_of_walking_the_trees_to_the_last_bit(seed: int, trees: int, width: int) -> None:
    rng = random.Random(seed)
    ensemble = grown.ensemble(rng, trees, width)
    scorer = Scorer(ensemble, width)
    for _ in range(30):
        row = grown.row(rng, width)
        assert scorer(row) == grown.walked(ensemble, row)


def test_a_row_of_nothing_but_missing_values_has_a_sum() -> None:
    rng = random.Random(4)
    ensemble = grown.ensemble(rng, 50, 7)

    assert Scorer(ensemble, 7)([nan] * 7) == grown.walked(ensemble, [nan] * 7)


def test_contributions_add_up_to_the_sum() -> None:
    rng = random.Random(5)
    ensemble = grown.ensemble(rng, 40, 6)
    for _ in range(20):
        row = grown.row(rng, 6)
        mean, shares = contributions(ensemble, row)
        assert mean + sum(shares) == pytest.approx(grown.walked(ensemble, row))


def test_a_feature_no_tree_asks_contributes_nothing() -> None:
    ensemble = Ensemble(10.0, (STUMP,))
    mean, shares = contributions(ensemble, [0.0, 99.0])

    assert (mean, shares) == (10.0 + 0.5, [-3.5, 0.0])


STUMP = Tree((0, -1, -1), (1.0, -3.0, 4.0), (False, False, False), (2, 0, 0), (4, 2, 2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature": ()}, "not of one length"),
        ({"at": (1.0, 2.0)}, "not of one length"),
        ({"at": (nan, 2.0, 3.0)}, "not finite"),
        ({"at": (1.0, inf, 3.0)}, "not finite"),
        ({"feature": (5, -1, -1)}, "asks feature 5, the row has 2"),
        ({"feature": (-2, -1, -1)}, "asks feature -2"),
        ({"right": (0, 0, 0)}, "outside its branch"),
        ({"right": (1, 0, 0)}, "outside its branch"),
        ({"right": (3, 0, 0)}, "outside its branch"),
        ({"feature": (-1, -1, -1)}, "no split leads to the node after this leaf"),
        ({"feature": (0, 1, -1), "right": (2, 0, 0)}, "outside its branch"),
    ],
)
def test_what_is_no_tree_is_refused(changes: dict[str, tuple[float, ...]], said: str) -> None:
    with pytest.raises(TreeError, match=said):
        Scorer(Ensemble(0.0, (msgspec.structs.replace(STUMP, **changes),)), 2)


def test_more_trees_than_are_taken_are_refused() -> None:
    with pytest.raises(TreeError, match="2001 trees: at most 2000 are taken"):
        Scorer(Ensemble(0.0, (STUMP,) * 2001), 2)


def test_a_tree_with_too_many_leaves_is_refused() -> None:
    with pytest.raises(TreeError, match=f"more than {MAX_LEAVES} leaves"):
        Scorer(Ensemble(0.0, (grown.tree(random.Random(1), MAX_LEAVES + 1, 3),)), 3)
