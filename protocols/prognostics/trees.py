"""Boosted regression trees: how they stand in a model file, and their sum for one row of features.

The sum is bit-equal with what the training library (scikit-learn's histogram gradient boosting) gives for
the same row: the same comparisons, the same leaf values, added in the same order.

It is fast because no tree is walked. Every split of every tree clears the leaves it rules out in one long
bit mask; for a feature the splits are sorted by threshold and the masks and-ed beforehand, so that a row
costs one bisection and one ``&`` a feature. The lowest bit left in a tree's lane is its leaf (QuickScorer:
Lucchese et al., SIGIR 2015).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

MAX_LEAVES = 16
"""Leaves of one tree: the width of its lane in bits. More trees do better than larger ones here."""
MAX_TREES = 2_000
"""Of an ensemble: the masks grow with the square."""

_LEAF = -1


def _lowest_bits() -> bytes:
    table = bytes(1)
    for bit in range(MAX_LEAVES):  # the upper half has this bit too: it counts where no lower one is set
        table += bytes([bit]) + table[1:]
    return table


_LOWEST = _lowest_bits()
"""Index of the lowest bit that is set, for every content of a lane."""


class TreeError(ValueError):
    """Trees of a model file contradict themselves; says which one and where."""


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tree in columns, one entry a node, in pre-order: the left child of node ``i`` is ``i + 1``.

    ``feature`` is the index of the feature that a split asks, -1 for a leaf. ``at`` is a split's threshold
    (left when feature ≤ threshold) or a leaf's value. ``missing_left`` says where a row without the feature
    goes. ``right`` is the index of the right child, 0 for a leaf. ``cover`` counts training rows there.
    """

    feature: tuple[int, ...]
    at: tuple[float, ...]
    missing_left: tuple[bool, ...]
    right: tuple[int, ...]
    cover: tuple[int, ...]


class Ensemble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Trees whose values are added to ``baseline`` one after another."""

    baseline: float
    trees: tuple[Tree, ...]


class Scorer:
    """Sums an ensemble for rows of ``width`` features; built once, then asked often.

    Raises TreeError where a tree is no tree, asks a feature the row has not, or has too many leaves.
    """

    def __init__(self, ensemble: Ensemble, width: int) -> None:
        if len(ensemble.trees) > MAX_TREES:
            raise TreeError(f"{len(ensemble.trees)} trees: at most {MAX_TREES} are taken")
        self._baseline = ensemble.baseline
        self._leaves: list[tuple[float, ...]] = []
        splits: list[tuple[int, float, bool, int]] = []
        for number, tree in enumerate(ensemble.trees):
            check(tree, number, width)
            leaves, ruled_out = _lane(tree)
            self._leaves.append(leaves)
            splits += [(f, at, left, bits << (number * MAX_LEAVES)) for f, at, left, bits in ruled_out]
        self._full = (1 << (len(ensemble.trees) * MAX_LEAVES)) - 1
        self._features = tuple(_prefixes(splits, self._full))
        self._lanes = struct.Struct(f"<{len(ensemble.trees)}H")

    def __call__(self, row: Sequence[float]) -> float:
        """The sum for one row; NaN where a feature is missing. The row must have ``width`` values."""
        alive = self._full
        for feature, thresholds, masks, missing in self._features:
            value = row[feature]
            if value == value:
                alive &= masks[bisect_left(thresholds, value)]
            else:
                alive &= missing
        lanes = self._lanes
        total = self._baseline
        lowest = _LOWEST
        for leaves, lane in zip(
            self._leaves, lanes.unpack(alive.to_bytes(lanes.size, "little")), strict=True
        ):
            total += leaves[lowest[lane]]
        return total


def check(tree: Tree, number: int, width: int) -> None:
    """Raise TreeError unless the columns describe one binary tree over ``width`` features."""
    nodes = len(tree.feature)
    columns = (tree.at, tree.missing_left, tree.right, tree.cover)
    if nodes == 0 or any(len(column) != nodes for column in columns):
        raise TreeError(f"tree {number}: its columns are empty or not of one length")
    if any(value != value or abs(value) == float("inf") for value in tree.at):
        raise TreeError(f"tree {number}: a threshold or value is not finite")
    waiting = [nodes]  # ends of the right siblings that are still to come, outermost first
    node = 0
    while node < nodes:
        feature, right = tree.feature[node], tree.right[node]
        if feature == _LEAF:
            node += 1
            if node != waiting.pop():
                raise TreeError(f"tree {number}, node {node - 1}: no split leads to the node after this leaf")
            continue
        if not 0 <= feature < width:
            raise TreeError(f"tree {number}, node {node}: asks feature {feature}, the row has {width}")
        if not node + 1 < right < waiting[-1]:
            raise TreeError(f"tree {number}, node {node}: its right child {right} is outside its branch")
        waiting.append(right)
        node += 1
    if waiting:
        raise TreeError(f"tree {number}: ends in the middle of a branch")
    if sum(feature == _LEAF for feature in tree.feature) > MAX_LEAVES:
        raise TreeError(f"tree {number}: more than {MAX_LEAVES} leaves")


def path(tree: Tree, row: Sequence[float]) -> list[int]:
    """The nodes a row comes by, from the root to its leaf."""
    node, nodes = 0, [0]
    while (feature := tree.feature[node]) != _LEAF:
        value = row[feature]
        left = tree.missing_left[node] if value != value else value <= tree.at[node]
        node = node + 1 if left else tree.right[node]
        nodes.append(node)
    return nodes


def means(tree: Tree) -> list[float]:
    """The mean value below every node, weighted by the training rows that reached each leaf."""
    found = [0.0] * len(tree.feature)
    for node in reversed(range(len(found))):
        if tree.feature[node] == _LEAF:
            found[node] = tree.at[node]
            continue
        left, right = node + 1, tree.right[node]
        a, b = tree.cover[left], tree.cover[right]
        found[node] = (a * found[left] + b * found[right]) / (a + b) if a + b else 0.0
    return found


def contributions(ensemble: Ensemble, row: Sequence[float]) -> tuple[float, list[float]]:
    """How far each feature moved the sum away from the mean of the training rows: (that mean, by feature).

    A split's share is the change of the mean from its node to the child the row took (Saabas, 2014). The
    mean and all shares add up to the sum, apart from rounding.
    """
    mean = ensemble.baseline
    shares = [0.0] * len(row)
    for tree in ensemble.trees:
        values = means(tree)
        mean += values[0]
        for node, child in pairwise(path(tree, row)):
            shares[tree.feature[node]] += values[child] - values[node]
    return mean, shares


def _lane(tree: Tree) -> tuple[tuple[float, ...], list[tuple[int, float, bool, int]]]:
    """Leaf values from left to right, and for each split the leaves it rules out when it says "right"."""
    nodes = len(tree.feature)
    before = [0] * (nodes + 1)  # leaves before each node
    for node, feature in enumerate(tree.feature):
        before[node + 1] = before[node] + (feature == _LEAF)
    splits = []
    for node, feature in enumerate(tree.feature):
        if feature != _LEAF:
            first, end = before[node + 1], before[tree.right[node]]
            splits.append((feature, tree.at[node], tree.missing_left[node], (1 << end) - (1 << first)))
    leaves = tuple(value for value, feature in zip(tree.at, tree.feature, strict=True) if feature == _LEAF)
    return leaves, splits


def _prefixes(
    splits: Iterable[tuple[int, float, bool, int]], full: int
) -> Iterable[tuple[int, list[float], list[int], int]]:
    """For every feature asked: its thresholds, what is alive above none … all of them, and without it."""
    by_feature: dict[int, list[tuple[float, bool, int]]] = {}
    for feature, at, missing_left, ruled_out in splits:
        by_feature.setdefault(feature, []).append((at, missing_left, ruled_out))
    for feature, found in sorted(by_feature.items()):
        found.sort(key=lambda split: split[0])
        thresholds: list[float] = []
        masks = [full]
        missing = full
        for at, missing_left, ruled_out in found:
            if thresholds and thresholds[-1] == at:
                masks[-1] &= ~ruled_out
            else:
                thresholds.append(at)
                masks.append(masks[-1] & ~ruled_out)
            if not missing_left:
                missing &= ~ruled_out
        yield feature, thresholds, masks, missing
