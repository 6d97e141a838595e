"""Tiny shops are enumerated: the proved optimum of the model is the best of all plans there are.

Machines, routings, windows, changeovers and maintenance by the order of decisions; what shops have beside
them second by second (:mod:`~tests.cloud.dispatching.exhaustive`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import Alternative, Machine, Operation, Problem, State, Weights, Window
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Status, evaluate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.exact.whole_shop import improve
from cloud.dispatching.solving.search.list_search import ListSearch
from tests.cloud.dispatching.exhaustive import Exhaustive, TooMany
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.dispatching.serial_plan import serial_plan


def tiny(seed: int) -> Problem:
    """At most six decisions; nothing frozen in the future, and no wish to stay near a published plan."""
    rng = random.Random(seed)
    problem = random_shop(
        rng,
        operations=rng.randint(2, 5),
        machines=rng.randint(1, 3),
        steps=3,
        windows=2,
        decided=0.4,
        maintenance=rng.randint(0, 1),
        load=rng.choice((1.0, 6.0)),
        second=1,
    )
    operations = tuple(
        replace(o, state=State.FREE, machine=None, start=None)
        if o.state is State.FIXED and o.start is not None and o.start > 0
        else o
        for o in problem.operations
    )
    published = {o.id: problem.published[o.id] for o in operations if o.id in problem.published}
    return replace(
        problem, operations=operations, published=published, weights=replace(Weights(), deviation=0)
    )


class Enumeration:
    """Every order of decisions, every choice of machine, everything as early as may be."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.machines = {m.id: m for m in problem.machines}
        runs = {name: run for run in problem.runs for name in run.operations}
        operations = {o.id: o for o in problem.operations}
        self.units: list[tuple[str | None, list[Operation], tuple[Alternative, ...], dict[str, str]]] = []
        for run in problem.runs:
            self.units.append((run.id, [operations[n] for n in run.operations], run.alternatives, run.setup))
        for o in problem.operations:
            if o.id not in runs:
                self.units.append((None, [o], o.alternatives, o.setup))
        self.open = [unit for unit in self.units if unit[1][0].state is not State.FIXED]
        self.facts = [unit for unit in self.units if unit[1][0].state is State.FIXED]
        self.travel = problem.travel()

    def best(self) -> int:
        totals = (
            evaluate(self.problem, assignments, services).total
            for assignments, services in self.plans()
            if not violations(
                self.problem,
                Schedule(
                    assignments=assignments,
                    services=services,
                    objective=evaluate(self.problem, assignments, services),
                ),
            )
        )
        return min(totals)

    def plans(self) -> Iterator[tuple[dict[str, Assignment], dict[str, Service]]]:
        tasks = self.problem.maintenance
        for done in itertools.product((False, True), repeat=len(tasks)):
            wanted = [task for task, yes in zip(tasks, done, strict=True) if yes]
            for order in itertools.permutations(
                [*range(len(self.open)), *(-1 - i for i in range(len(wanted)))]
            ):
                for choice in itertools.product(*(range(len(unit[2])) for unit in self.open)):
                    plan = self.plan(
                        order, choice, [(t.id, t.machine, t.seconds, t.earliest) for t in wanted]
                    )
                    if plan is not None:
                        yield plan

    def plan(
        self, order: tuple[int, ...], choice: tuple[int, ...], tasks: list[tuple[str, str, int, int]]
    ) -> tuple[dict[str, Assignment], dict[str, Service]] | None:
        assignments: dict[str, Assignment] = {}
        services: dict[str, Service] = {}
        free = dict.fromkeys(self.machines, 0)
        state = {name: machine.setup for name, machine in self.machines.items()}
        for run, members, _, setup in sorted(
            self.facts, key=lambda unit: (unit[1][0].start or 0, unit[1][0].id)
        ):
            machine, start = members[0].machine or "", members[0].start or 0
            end = max(self.problem.end_of_fixed(o) for o in members)
            alternative = members[0].alternative(machine)
            for o in members:
                assignments[o.id] = Assignment(
                    machine=machine,
                    start=start,
                    end=end,
                    setup_seconds=min(alternative.setup_seconds, end - start) if alternative else 0,
                    run=run,
                )
            free[machine], state[machine] = max(free[machine], end), setup
        for at in order:
            if at < 0:
                name, machine, seconds, earliest = tasks[-1 - at]
                start = self.gap(machine, max(earliest, free[machine]), 0, seconds)
                services[name] = Service(machine=machine, start=start, end=start + seconds)
                free[machine] = start + seconds
                continue
            run, members, alternatives, setup = self.open[at]
            chosen = alternatives[choice[at]]
            release = 0
            for o in members:
                release = max(release, o.earliest, o.start or 0)
                for name in o.predecessors:
                    if name not in assignments:
                        return None
                    before = assignments[name]
                    travel = self.travel.get((before.machine, chosen.machine), 0)
                    release = max(release, before.end + o.lags.get(name, 0) + travel)
            machine = chosen.machine
            change = self.machines[machine].changeover(state[machine], setup)
            seconds = chosen.setup_seconds + chosen.run_seconds
            begin = self.gap(machine, max(free[machine], release - change), change, seconds)
            for o in members:
                assignments[o.id] = Assignment(
                    machine=machine,
                    start=begin + change,
                    end=begin + change + seconds,
                    setup_seconds=chosen.setup_seconds,
                    changeover_seconds=change,
                    run=run,
                )
            free[machine], state[machine] = begin + change + seconds, setup
        return assignments, services

    def gap(self, machine: str, begin: int, change: int, seconds: int) -> int:
        windows = [(w.start, w.end) for w in self.machines[machine].unavailable]
        while any(begin < end and start < begin + change + seconds for start, end in windows):
            begin += 1
        return begin


@pytest.mark.parametrize("seed", range(40))
def test_the_proved_optimum_is_the_best_of_all_plans(seed: int) -> None:
    problem = tiny(seed)
    enumeration = Enumeration(problem)
    plan = improve(problem, construct(problem), 20.0, workers=1, deterministic=True)
    assert plan.status is Status.OPTIMAL
    assert plan.objective.total == enumeration.best()


def test_the_enumeration_knows_a_shop_by_heart() -> None:
    """Two jobs on one machine, 3 s and 5 s, due at once: the short one first costs 3 + 8 s of tardiness."""
    machine = Machine(id="M")
    operations = tuple(
        Operation(
            id=name,
            order_id="O",
            job_id=name,
            due=0,
            alternatives=(Alternative(machine="M", run_seconds=seconds),),
        )
        for name, seconds in (("long", 5), ("short", 3))
    )
    problem = Problem(
        origin=0,
        now=0,
        machines=(machine,),
        operations=operations,
        weights=Weights(tardiness=1, makespan=0),
    )
    assert Enumeration(problem).best() == 11
    assert improve(problem, construct(problem), 1.0, workers=1, deterministic=True).objective.total == 11


def test_the_look_at_every_second_waits_with_what_may_not_wait_later() -> None:
    """B must follow A at once, and its machine is closed until 10: A starts at 5, though it could at once."""
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="M"), Machine(id="N", unavailable=(Window(start=0, end=10),))),
        operations=(
            Operation(
                id="A",
                order_id="O",
                job_id="J",
                alternatives=(Alternative(machine="M", run_seconds=5),),
            ),
            Operation(
                id="B",
                order_id="O",
                job_id="J",
                predecessors=("A",),
                max_lags={"A": 0},
                due=0,
                alternatives=(Alternative(machine="N", run_seconds=3),),
            ),
        ),
        weights=Weights(tardiness=1, makespan=0),
    )
    best = Exhaustive(problem, bound=1000, most_nodes=1000).run()
    assert best is not None
    assert (best.assignments["A"].start, best.assignments["B"].start) == (5, 10)
    assert best.objective.total == 13


def tiny_with(seed: int, features: Collection[str]) -> Problem:
    """Four operations and a service at most, on three machines; what is fixed has begun."""
    rng = random.Random(seed)
    problem = random_shop(
        rng,
        operations=rng.randint(2, 4),
        machines=rng.randint(1, 3),
        steps=3,
        windows=1,
        decided=0.3,
        maintenance=rng.randint(0, 1),
        load=rng.choice((1.0, 6.0)),
        second=1,
        features=features,
    )
    operations = tuple(
        replace(o, state=State.FREE, machine=None, start=None)
        if o.state is State.FIXED and o.start is not None and o.start > 0
        else o
        for o in problem.operations
    )
    return replace(problem, operations=operations, weights=replace(Weights(), other_machine=5))


@pytest.mark.parametrize(
    ("features", "shops"),
    [*(({name}, 12) for name in sorted(ALL)), (ALL, 60)],
    ids=[*sorted(ALL), "all"],
)
def test_with_every_feature_no_plan_is_better_than_the_proved_one(features: set[str], shops: int) -> None:
    looked_at = 0
    for seed in range(shops):
        problem = tiny_with(seed, features)
        plan = improve(problem, serial_plan(problem), 20.0, workers=1, deterministic=True)
        assert plan.status is Status.OPTIMAL
        try:
            best = Exhaustive(problem, bound=plan.objective.total + 1, most_nodes=4_000).run()
        except TooMany:
            continue
        assert best is not None
        assert best.objective.total == plan.objective.total
        looked_at += 1
    assert looked_at >= 0.7 * shops


@pytest.mark.parametrize("features", [(), ALL], ids=["plain", "all"])
def test_the_list_search_finds_the_best_plan_of_tiny_shops_nearly_always(features: Collection[str]) -> None:
    """Of 100 shops it did in 100 and, with every feature, in 98.

    Nothing is published: what is planned from lists starts as early as it can or where it was published, and
    a plan between the two may be the best when both count.
    """
    shops = best = 0
    for seed in range(40):
        problem = replace(tiny_with(seed, features), published={})
        shop = compile_shop(problem)
        if not shop.activities:
            continue
        start = construct(problem)
        proved = improve(problem, start, 20.0, workers=1, deterministic=True)
        assert proved.status is Status.OPTIMAL
        search = ListSearch(shop, start, seed)
        for step in range(20):
            if not search.stuck:
                search.run(200, step / 20)
        assert search.best >= proved.objective.total
        shops += 1
        best += search.best == proved.objective.total
    assert best >= 0.9 * shops
