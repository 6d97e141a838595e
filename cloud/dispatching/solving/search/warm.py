"""Compiles the search ahead of its first use: ``python -m cloud.dispatching.solving.search.warm``."""

from __future__ import annotations

import sys

import numpy as np

from cloud.dispatching.shop.problem import Alternative, Machine, Operation, Problem
from cloud.dispatching.shop.schedule import Status
from cloud.dispatching.solving.activities import Shop, Spot
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.search import cache
from cloud.dispatching.solving.search.arrays import Code, facts


def main() -> int:
    """Compile and keep; 0 when the compiled search is there, 1 when there is no folder to keep it in."""
    path = cache.folder()
    if path is None:
        return 1
    if not cache.complete(path):
        with cache.going_on(path):
            shop = _smallest()
            _lists(shop)
            _tabu(shop)
        cache.mark(path)
    return 0


def _smallest() -> Shop:
    """One operation on one machine."""
    work = Operation(
        id="o", order_id="o", job_id="o", alternatives=(Alternative(machine="m", run_seconds=1),)
    )
    return compile_shop(Problem(origin=0, now=0, machines=(Machine(id="m"),), operations=(work,)))


def _tabu(shop: Shop) -> None:
    from cloud.dispatching.solving.search.tabu import Tabu

    tabu = Tabu(facts(shop))
    tabu.load(Code(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)))
    tabu.run(1, 1, 0, 1, 1)


def _lists(shop: Shop) -> None:
    from cloud.dispatching.solving.search.list_search import ListSearch

    ListSearch(shop, shop.schedule([Spot(0, 0, 0, 1)], {}, Status.CONSTRUCTED)).run(1, 0.0)


if __name__ == "__main__":
    sys.exit(main())
