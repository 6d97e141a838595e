"""Work and maintenance take what they need of crews and tools, and there is no more of them than there is."""

from __future__ import annotations

from typing import Any

from cloud.dispatching.shop.problem import Kind
from cloud.dispatching.solving.activities import Pool
from cloud.dispatching.solving.exact.profiles import profile
from cloud.dispatching.solving.exact.variables import Variables


def add_pools(m: Variables) -> None:
    """One cumulative constraint for each shared resource that work to be planned needs."""
    for pool in m.shop.pools:
        _pool(m, pool)


def _pool(m: Variables, pool: Pool) -> None:
    """A crew is free over a pause: there is more of it then, and work that does not rest takes that again."""
    intervals: list[Any] = []
    demands: list[int] = []
    given: list[tuple[int, int, int]] = []
    for activity in m.shop.activities:
        for option, choice in zip(activity.options, m.choices[activity.index], strict=True):
            amount = dict(option.needs).get(pool.index, 0)
            if not amount:
                continue
            intervals.append(choice.stay)
            demands.append(amount)
            for rest in choice.rests if pool.kind is Kind.CREW else ():
                start, end = rest.pause.start, rest.pause.end
                given.append((start, end, amount))
                intervals.append(
                    m.model.new_optional_fixed_size_interval_var(start, end - start, ~rest.over, "")
                )
                demands.append(amount)
    for task, stay in zip(m.shop.tasks, m.service_stays, strict=True):
        amount = dict(task.needs).get(pool.index, 0)
        if amount:
            intervals.append(stay)
            demands.append(amount)
    if not intervals:
        return
    left = profile(pool.capacity, pool.levels, pool.taken, given, m.shop.problem.now, m.horizon)
    for start, end, amount in left.missing:
        intervals.append(m.model.new_fixed_size_interval_var(start, end - start, ""))
        demands.append(amount)
    m.model.add_cumulative(intervals, demands, left.capacity)
