"""The dispatcher against dispatch rules in a shop where durations, machines and scans cannot be relied on.

Seeds 1, 2, … of the shop of steel cabinets with durations off by ±30 %, breakdowns and one scan in ten
missing; every history is checked by code of its own.
"""

from __future__ import annotations

import asyncio

from cloud.dispatching.simulation.comparison import (
    CLASSIC,
    DISPATCHER,
    POLICIES,
    RULES,
    Comparison,
    Trial,
    compare,
)
from cloud.dispatching.simulation.factory import read_factory
from cloud.dispatching.simulation.world import Chance
from tests.bench.figures import Figure, Size, progress

LESS = 30.0
"""Percent less weighted tardiness than the best rule."""
MOVED = 10.0
"""Percent of the unfrozen operations that a replan may move."""


async def run(size: Size) -> list[Figure]:
    """Every policy on every seed."""
    return await asyncio.to_thread(_run, size)


def _run(size: Size) -> list[Figure]:
    weeks, seeds = size.of(1, 4), size.of(1, 5)
    found = Comparison()
    names = sorted(POLICIES, key=lambda name: name == DISPATCHER, reverse=True)
    trials = [Trial(name, seed, weeks, Chance()) for name in names for seed in range(1, seeds + 1)]
    for outcome in compare(read_factory(), trials):
        if outcome.broken:
            raise RuntimeError(f"{outcome.trial}: {outcome.broken[0]}")
        found.outcomes.append(outcome)
        progress(f"{len(found.outcomes)} of {len(trials)} runs")
    means = found.means()
    figures = []
    for name, mean in means.items():
        note = (
            f"on time {100 * mean.on_time_share:.1f} %, "
            f"promises kept {100 * mean.promises_kept_share:.1f} %, "
            f"promised {mean.promised_working_hours:.1f} h, changeovers {mean.changeover_hours:.0f} h"
        )
        figures.append(Figure(f"weighted tardiness, {name}", mean.weighted_tardiness_hours, "h", note=note))
    for among, words in ((CLASSIC, "the best rule that knows no set-ups"), (RULES, "the best rule")):
        verdict = found.less_tardiness(among)
        if verdict is not None:
            rule, share = verdict
            what = f"less weighted tardiness than {rule}, {words}"
            figures.append(Figure(what, 100 * share, "%", LESS, "more", f"{seeds} seeds × {weeks} weeks"))
    mine = means[DISPATCHER]
    if mine.moved_share is not None:
        note = f"{mine.replans:.0f} replans a run, {mine.planning_seconds:.0f} s of planning"
        figures.append(
            Figure("unfrozen operations moved per replan", 100 * mine.moved_share, "%", MOVED, note=note)
        )
    return figures
