"""Each run rule at the very point that completes its pattern, and what must not complete one."""

import random

import pytest

from protocols.spc.rules import DEFAULT, WINDOW, Rule, rules_of, signals, signals_at
from protocols.spc.run_lengths import run_length

SWING = [0.5, 0.4, -0.5, -0.4]


def found(z: list[float], rule: Rule) -> set[int]:
    return {index for index, _ in signals(z, (rule,))}


@pytest.mark.parametrize(
    ("rule", "z", "at"),
    [
        (Rule.NELSON_1, [0, 0.1, -0.2, 3.01, 0], {3}),
        (Rule.NELSON_1, [3.0, -3.0], set()),
        (Rule.NELSON_2, [0.1] * 9, {8}),
        (Rule.NELSON_2, [0.1] * 8 + [0.0] + [0.1] * 8, set()),
        (Rule.WE_4, [0.1] * 8, {7}),
        (Rule.NELSON_3, [-0.5, -0.3, -0.1, 0.1, 0.3, 0.5], {5}),
        (Rule.NELSON_3, [0.5, 0.3, 0.1, -0.1, -0.3, -0.5], {5}),
        (Rule.NELSON_3, [-0.5, -0.3, -0.3, 0.1, 0.3, 0.5], set()),
        (Rule.NELSON_4, [0.2, -0.2] * 7, {13}),
        (Rule.NELSON_4, [0.2, -0.2] * 6 + [0.2, 0.3], set()),
        (Rule.NELSON_5, [2.1, 0, 2.1], {2}),
        (Rule.NELSON_5, [2.1, 0, -2.1], set()),
        (Rule.NELSON_5, [2.1, 2.1, 0], {1}),
        (Rule.NELSON_6, [1.1, 1.1, 0, 1.1, 1.1], {4}),
        (Rule.NELSON_6, [1.1, 1.1, 0, 1.1, -1.1], set()),
        (Rule.NELSON_7, SWING * 3 + SWING[:3], {14}),
        (Rule.NELSON_7, SWING * 3 + [0.5, 1.0, -0.5], set()),
        (Rule.NELSON_8, [1.2, 1.3, -1.2, -1.3] * 2, {7}),
        (Rule.NELSON_8, [1.2, 1.3, -1.2, 1.0, 1.2, 1.3, -1.2, -1.3], set()),
    ],
)
def test_the_point_that_completes_the_pattern(rule: Rule, z: list[float], at: set[int]) -> None:
    assert found(z, rule) == at
    assert found([-point for point in z], rule) == at


def test_names_and_sets_of_rules() -> None:
    assert rules_of(["western-electric"]) == (Rule.NELSON_1, Rule.NELSON_5, Rule.NELSON_6, Rule.WE_4)
    assert rules_of(["we-2", "nelson-5", "nelson-1"]) == (Rule.NELSON_1, Rule.NELSON_5)
    assert len(rules_of(["nelson"])) == 8
    with pytest.raises(ValueError, match="nelson-9"):
        rules_of(["nelson-9"])


def test_a_window_is_all_that_a_point_needs() -> None:
    rng = random.Random(7)
    z = [rng.gauss(0, 1.3) for _ in range(600)]
    whole = [(i, r) for i in range(len(z)) for r in signals_at(z[: i + 1], tuple(Rule))]
    assert whole == signals(z, tuple(Rule))
    assert {rule for _, rule in whole} >= {Rule.NELSON_1, Rule.NELSON_5, Rule.NELSON_6, Rule.NELSON_8}
    assert WINDOW == 15


def test_what_a_set_of_rules_costs_is_known() -> None:
    length = run_length(rules_of(["nelson"]))
    default = run_length(DEFAULT)
    assert length is not None
    assert default is not None
    assert length.in_control == pytest.approx(73, rel=0.05)
    assert default.in_control > 2 * length.in_control
    assert run_length((Rule.NELSON_2,)) is None
    western = run_length(rules_of(["western-electric"]))
    assert western is not None
    # Champ and Woodall 1987
    assert western.in_control == pytest.approx(91.75, rel=0.01)
    assert western.shifted == pytest.approx(9.22, rel=0.01)
