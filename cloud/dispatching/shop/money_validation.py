"""Refuses rates that are no amounts of money, and overtime that ends before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.shared_validation import ProblemError

MOST = Decimal(1_000_000)
"""Of a currency for an hour, whatever the currency."""
MOST_PERCENT = Decimal(1_000)
PLACES = 4
"""Decimal places of a rate: sums of them stay exact."""
CODE = 3


def money_errors(problem: Problem) -> Iterator[ProblemError]:
    """Everything that is wrong with rates and overtime."""
    rates: list[tuple[str, Decimal | None, Decimal]] = [
        *((f"machine {m.id!r}: cost_per_hour", m.cost_per_hour, MOST) for m in problem.machines),
        *((f"resource {r.id!r}: cost_per_hour", r.cost_per_hour, MOST) for r in problem.resources),
    ]
    costs = problem.costs
    if costs is not None:
        rates.append(("costs: overtime_percent", costs.overtime_percent, MOST_PERCENT))
        rates.append(("costs: late_per_hour", costs.late_per_hour, MOST))
        code = costs.currency
        if not (len(code) == CODE and code.isascii() and code.isalpha() and code.isupper()):
            yield ProblemError(reason=f"costs: currency {code!r} is not a code of ISO 4217, such as EUR")
    for what, rate, most in rates:
        if rate is not None and (wrong := _wrong(rate, most)):
            yield ProblemError(reason=f"{what} {rate} {wrong}")
    for machine in problem.machines:
        for window in machine.overtime:
            if window.end <= window.start:
                yield ProblemError(
                    reason=f"machine {machine.id!r}: overtime from {window.start} ends at {window.end}"
                )


def _wrong(rate: Decimal, most: Decimal) -> str:
    if not rate.is_finite() or not 0 <= rate <= most:
        return f"is not between 0 and {most}"
    places = rate.as_tuple().exponent
    return f"has more than {PLACES} decimal places" if isinstance(places, int) and places < -PLACES else ""
