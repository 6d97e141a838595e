"""Several policies meet the same worlds; each run is a job for a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Protocol

from cloud.dispatching.simulation.execution import Execution, Policy
from cloud.dispatching.simulation.factory import Factory
from cloud.dispatching.simulation.figures import Figures, figures, mean
from cloud.dispatching.simulation.history import impossible
from cloud.dispatching.simulation.rolling import PlanOnce, Rolling
from cloud.dispatching.simulation.rules import Atc, Atcs, Edd, Fifo
from cloud.dispatching.simulation.world import Chance, make_world

POLICIES: Mapping[str, Callable[[], Policy]] = {
    "fifo": Fifo,
    "edd": Edd,
    "atc": Atc,
    "atcs": Atcs,
    "once": PlanOnce,
    "onelot": Rolling,
}
"""By the name people give them. A new one is a row here."""

RULES = ("fifo", "edd", "atc", "atcs")
"""What the dispatcher is measured against."""

CLASSIC = ("fifo", "edd", "atc")
"""Those of them that most shops know: set-ups are not looked at."""

DISPATCHER = "onelot"

LOOK = 0.2
"""Seconds between two looks at whether the runs are still wanted."""


class Stopping(Protocol):
    """An event of threads or of processes."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy in one world."""

    policy: str
    seed: int
    weeks: int
    chance: Chance


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial; ``broken`` are rules of the shop that the history breaks (a fault of ours)."""

    trial: Trial
    figures: Figures
    broken: tuple[str, ...] = ()


@dataclass(slots=True)
class Comparison:
    """All outcomes so far."""

    outcomes: list[Outcome] = field(default_factory=list)

    def means(self) -> dict[str, Figures]:
        """By policy, in the order of :data:`POLICIES`; over its seeds."""
        found: dict[str, list[Figures]] = {name: [] for name in POLICIES}
        for one in sorted(self.outcomes, key=lambda outcome: outcome.trial.seed):
            found[one.trial.policy].append(one.figures)
        return {name: mean(runs) for name, runs in found.items() if runs}

    def less_tardiness(self, among: Sequence[str] = RULES) -> tuple[str, float] | None:
        """The best rule, and the share by which the dispatcher has less weighted tardiness; None where either
        was not run or there is no tardiness."""
        means = self.means()
        rules = {name: means[name].weighted_tardiness_hours for name in among if name in means}
        if DISPATCHER not in means or not rules:
            return None
        best = min(rules, key=lambda name: rules[name])
        if not rules[best]:
            return None
        return best, 1 - means[DISPATCHER].weighted_tardiness_hours / rules[best]


def carry_out(factory: Factory, trial: Trial, stop: Callable[[], bool] = lambda: False) -> Outcome | None:
    """Run one trial; None if ``stop`` said so meanwhile.

    The same arguments always give the same outcome, but for the planning seconds.
    """
    world = make_world(factory, trial.seed, trial.weeks, trial.chance)
    history = Execution(world, POLICIES[trial.policy]()).run(stop)
    if history is None:
        return None
    return Outcome(trial, figures(history), tuple(impossible(history)))


def compare(
    factory: Factory, trials: Sequence[Trial], processes: int | None = None, stop: Stopping | None = None
) -> Iterator[Outcome]:
    """The outcomes as they come, from at most ``processes`` (default: cores) processes.

    Once ``stop`` is set, the runs in hand are given up and the iteration ends.
    """
    stop = stop or threading.Event()
    count = min(processes or os.cpu_count() or 1, len(trials))
    if count <= 1:
        found = (carry_out(factory, trial, stop.is_set) for trial in trials)
        yield from (outcome for outcome in found if outcome is not None)
        return
    # Started afresh, not forked: whoever calls may have threads.
    context = get_context("spawn")
    shared = context.Event()
    with ProcessPoolExecutor(count, mp_context=context, initializer=_prepare, initargs=(shared,)) as pool:
        left = {pool.submit(_carry_out, factory, trial) for trial in trials}
        try:
            while left:
                done, left = wait(left, timeout=LOOK, return_when=FIRST_COMPLETED)
                yield from (outcome for future in done if (outcome := future.result()) is not None)
                if stop.is_set():
                    break
        finally:
            shared.set()
            for future in left:
                future.cancel()


_given_up: Stopping | None = None
"""Of a process that carries out trials: set when nobody wants them any more."""


def _prepare(shared: Stopping) -> None:
    global _given_up
    _given_up = shared
    # Ctrl-C goes to a terminal's whole group; who asked for the runs says when they end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _carry_out(factory: Factory, trial: Trial) -> Outcome | None:
    return carry_out(factory, trial, _given_up.is_set if _given_up is not None else lambda: False)
