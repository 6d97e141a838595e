"""Instances of the classic text formats, drawn by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from cloud.dispatching.files.instance import Instance, Step

TIMES = st.integers(0, 99)


@st.composite
def _steps(draw: st.DrawFn, machines: int, flexible: bool) -> Step:
    count = draw(st.integers(1, machines)) if flexible else 1
    chosen = draw(st.permutations(range(machines)))[:count]
    return tuple((machine, draw(TIMES)) for machine in chosen)


@st.composite
def instances(draw: st.DrawFn, *, flexible: bool, setups: bool = False) -> Instance:
    """Jobs of unequal length that may come to a machine again."""
    machines = draw(st.integers(1, 4))
    jobs = draw(
        st.lists(
            st.lists(_steps(machines, flexible), min_size=1, max_size=4).map(tuple), min_size=1, max_size=4
        )
    )
    steps = sum(map(len, jobs))
    matrices: tuple[tuple[tuple[int, ...], ...], ...] = ()
    if setups:
        rows = st.lists(TIMES, min_size=steps, max_size=steps).map(tuple)
        matrix = st.lists(rows, min_size=steps, max_size=steps).map(tuple)
        matrices = tuple(draw(st.lists(matrix, min_size=machines, max_size=machines)))
    return Instance(machines=machines, jobs=tuple(jobs), setups=matrices, first_machine=int(setups))
