"""Works side by side: their order, what is told, what an error leaves undone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import pytest

from cloud.maintenance.rul import cores
from cloud.maintenance.rul.cores import side_by_side


def test_answers_come_in_the_order_of_the_works_whatever_is_done_first() -> None:
    last_is_done = threading.Event()

    def first() -> str:
        assert last_is_done.wait(20), "the others work meanwhile"
        return "first"

    def last() -> str:
        last_is_done.set()
        return "last"

    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core: works go one after the other")
    told: list[float] = []
    assert side_by_side([first, last], told.append) == ["first", "last"]
    assert told == [0.5, 1.0]
    assert side_by_side([], told.append) == []


def test_an_error_is_raised_as_it_came_and_what_had_not_begun_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cores, "MOST", 1)
    done: list[int] = []
    never = threading.Event()

    def work(number: int) -> None:
        if number == 1:
            raise ValueError("two leaves are too few")
        if number > 1:
            never.wait(0.1)  # a fit takes its time
        done.append(number)

    with pytest.raises(ValueError, match="two leaves are too few"):
        side_by_side([partial(work, number) for number in range(50)], lambda _: None)
    assert done[0] == 0
    assert len(done) < 25


def test_the_library_fits_with_one_thread_unless_told_otherwise() -> None:
    program = (
        "from cloud.maintenance.rul.cores import one_thread_each as o; o(); "
        "from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as n; print(n())"
    )
    for wanted, more in ((1, dict[str, str]()), (2, {"OMP_NUM_THREADS": "2"})):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
        said = subprocess.check_output([sys.executable, "-c", program], text=True, env={**kept, **more})
        assert int(said) == wanted
