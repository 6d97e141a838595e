"""The false-alarm budget: kept, or a threshold is proposed that a person may confirm."""

from __future__ import annotations

import pytest

from cloud.maintenance.health.asset import Episode
from cloud.maintenance.health.budget import MONTH, budget
from cloud.maintenance.health.limits import Limits

LIMITS = Limits(false_alarms=0.5)
EPISODES = [Episode(10, 20, 1.5), Episode(30, 40, 2.0), Episode(50, 60, 9.0)]


def test_a_budget_that_is_kept_proposes_nothing() -> None:
    found = budget([10], EPISODES, 0, 3 * MONTH, 1.0, 0, LIMITS)
    assert (found.kept, found.false_alarms, found.months, found.proposal) == (True, 1, 3.0, None)


def test_a_budget_that_is_exceeded_proposes_a_threshold_above_the_false_alarms_alone() -> None:
    found = budget([10, 30], EPISODES, 0, MONTH, 1.0, 0, LIMITS)
    assert not found.kept
    assert found.proposal is not None
    assert found.proposal.factor == pytest.approx(2.2)
    assert "2 false alarms in 1.0 months, allowed are 0.5 a month" in found.proposal.why


def test_a_proposal_never_lowers_what_was_confirmed_and_what_was_confirmed_settles() -> None:
    found = budget([10, 30], EPISODES, 0, MONTH, 3.0, 0, LIMITS)
    assert found.proposal is not None
    assert found.proposal.factor == 3.0
    assert budget([10, 30], EPISODES, 0, MONTH, 3.0, 35, LIMITS).kept


def test_what_cannot_be_proposed_says_why() -> None:
    far = budget([50], [Episode(50, 60, 9.5)], 0, MONTH, 1.0, 0, LIMITS)
    assert (far.kept, far.proposal) == (False, None)
    assert "look for what changed" in far.note
    lost = budget([5], EPISODES, 0, MONTH, 1.0, 0, LIMITS)
    assert (lost.kept, lost.proposal) == (False, None)
    assert "not kept any more" in lost.note
