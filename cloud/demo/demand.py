"""Customers of the demo: cabinets and doors nobody ordered before, with due dates that are just possible."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud.orders.products import Parameter, Product


def orders(
    products: Mapping[str, Product], seed: int, *, now: datetime, span: timedelta
) -> Iterator[dict[str, Any]]:
    """Endless order requests as ``POST /api/v1/orders`` takes them. ``span`` is a usual delivery time.

    The first customer is in a hurry: one piece of the quickest product.
    """
    rng = random.Random(seed)
    names = sorted(products)
    quick = min(names, key=lambda name: sum(step.seconds_per_piece for step in products[name].operations))
    yield _order([_line(rng, quick, products[quick], 1)], now + span / 2, 5)
    while True:
        lines = []
        for _ in range(1 if rng.random() < 0.8 else 2):
            name = rng.choice(names)
            lines.append(_line(rng, name, products[name], rng.randint(1, 3)))
        due = max(now, datetime.now(UTC)) + span * rng.uniform(0.7, 1.6)
        yield _order(lines, due, rng.choice([1, 1, 1, 2, 3]))


def _order(lines: list[dict[str, Any]], due: datetime, priority: int) -> dict[str, Any]:
    return {"lines": lines, "due": due.isoformat(), "priority": priority}


def _line(rng: random.Random, name: str, product: Product, quantity: int) -> dict[str, Any]:
    parameters = {key: _choose(rng, p) for key, p in product.parameters.items()}
    return {"product": name, "quantity": str(quantity), "parameters": parameters}


def _choose(rng: random.Random, parameter: Parameter) -> str:
    if parameter.type == "choice":
        # most customers want the same few colours: that is what makes coating batches worth while
        weights = [1 / (rank + 1) for rank in range(len(parameter.choices))]
        return rng.choices(parameter.choices, weights)[0]
    low, high = parameter.min or 0, parameter.max or 100
    step = parameter.step or 1
    return str(low + step * rng.randint(0, int((high - low) / step)))
