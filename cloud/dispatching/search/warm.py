"""Compiles the search ahead of its first use: ``python -m cloud.dispatching.search.warm``."""

from __future__ import annotations

import sys

import numpy as np

from cloud.dispatching.search import cache
from cloud.dispatching.search.arrays import Code, Facts
from cloud.dispatching.search.columns import COLUMNS, OPTION_END


def main() -> int:
    """Compile and keep; 0 when the compiled search is there, 1 when there is no folder to keep it in."""
    path = cache.folder()
    if path is None:
        return 1
    if not cache.complete(path):
        from cloud.dispatching.search.tabu import Tabu

        activities = np.zeros((1, COLUMNS), dtype=np.int64)
        activities[0, OPTION_END] = 1
        one = Facts(
            activities=activities,
            options=np.array([[0, 1, 0, 0]], dtype=np.int64),
            arcs=np.zeros((0, 2), dtype=np.int64),
            stations=np.array([[0, 0, -1, 1, 0, 0]], dtype=np.int64),
            table=np.zeros(1, dtype=np.int64),
        )
        tabu = Tabu(one)
        tabu.load(Code(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)))
        tabu.run(1, 1, 0, 1, 1)
        cache.mark(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
