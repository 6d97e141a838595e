"""How training shares the cores of the machine: one whole fit a core, side by side, each with one thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")

MOST = 8
"""Works side by side: each may hold a copy of the rows."""


def one_thread_each() -> None:
    """To be called before anything of scikit-learn is imported: OpenMP reads it once, when it is loaded.

    Its fits here are of small tables: threads that share one of them wait for each other at every node of
    every tree, and where something else works too they spin meanwhile, so that a fit takes ten times as long
    (measured). Whoever set another number of threads keeps it.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def side_by_side(works: Sequence[Callable[[], T]], told: Callable[[float], None]) -> list[T]:
    """What the works give, in their order; ``told`` hears which part of them is done.

    The first error is raised as it came. Then, and when the caller is interrupted, works that have not begun
    are left out and those that have are waited for.
    """
    with ThreadPoolExecutor(min(len(works), os.cpu_count() or 1, MOST) or 1) as pool:
        begun = [pool.submit(work) for work in works]
        try:
            for done, one in enumerate(as_completed(begun), start=1):
                one.result()
                told(done / len(begun))
            return [one.result() for one in begun]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
