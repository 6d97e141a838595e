"""Compiles the search ahead of its first use: ``python -m cloud.dispatching.search.warm``."""

from __future__ import annotations

import sys

import numpy as np

from cloud.dispatching.activities import Activity, Option, Shop, Station
from cloud.dispatching.problem import Problem
from cloud.dispatching.search import cache
from cloud.dispatching.search.arrays import Code, facts


def main() -> int:
    """Compile and keep; 0 when the compiled search is there, 1 when there is no folder to keep it in."""
    path = cache.folder()
    if path is None:
        return 1
    if not cache.complete(path):
        shop = _smallest()
        _decoder(shop)
        _tabu(shop)
        cache.mark(path)
    return 0


def _smallest() -> Shop:
    """One activity on one machine."""
    return Shop(
        problem=Problem(origin=0, now=0, machines=(), operations=()),
        stations=(Station(index=0, id="", state=0, changeover=[[0]], blocks=()),),
        activities=(Activity(0, "", None, (), (Option(0, 1, 0, 0, 0),), leased=False, wishes=()),),
        jobs=(),
        tasks=(),
        travel=[[0]],
        has_travel=False,
        fixed={},
        order=(0,),
        settled_end=0,
    )


def _tabu(shop: Shop) -> None:
    from cloud.dispatching.search.tabu import Tabu

    tabu = Tabu(facts(shop))
    tabu.load(Code(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)))
    tabu.run(1, 1, 0, 1, 1)


def _decoder(shop: Shop) -> None:
    from cloud.dispatching.search import decode
    from cloud.dispatching.search.numbered import numbered

    order = np.zeros(1, dtype=np.int64)
    given = numbered(shop)
    decode.decode(*given, order, 0)
    decode.undo(*given, order, 0)


if __name__ == "__main__":
    sys.exit(main())
