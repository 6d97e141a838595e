"""Simulated shops: what happens could have happened, is the same each time, and the same for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from cloud.dispatching.shop.problem import Operation, Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.comparison import POLICIES
from cloud.dispatching.simulation.execution import Choice, Execution, Policy, Wait
from cloud.dispatching.simulation.factory import Factory, read_factory
from cloud.dispatching.simulation.figures import figures
from cloud.dispatching.simulation.history import Done, History, impossible
from cloud.dispatching.simulation.planning import plan
from cloud.dispatching.simulation.rolling import PlanOnce, Rolling
from cloud.dispatching.simulation.rules import Atc, Atcs, Edd, Fifo
from cloud.dispatching.simulation.world import Chance, World, make_world, stream

CALM = Chance(spread=0.0, missing=0.0, breakdowns=False)


def small(orders_per_day: float) -> Factory:
    """The shop of the preset with few orders."""
    return read_factory().model_copy(update={"orders_per_day": orders_per_day})


def world(seed: int = 1, chance: Chance | None = None, orders_per_day: float = 4.0) -> World:
    return make_world(small(orders_per_day), seed, 1, chance or Chance())


def run(world: World, policy: Policy) -> History:
    history = Execution(world, policy).run()
    assert history is not None
    return history


def at_once(world: World, count: int = 12) -> World:
    """The first orders of a world, all of them there when the shop opens."""
    opening = world.shifts.opening(0)
    orders = tuple(
        replace(
            order,
            arrival=opening,
            operations=tuple(_from(operation, opening) for operation in order.operations),
        )
        for order in world.orders[:count]
    )
    return replace(world, orders=orders)


def _from(operation: Operation, earliest: int) -> Operation:
    return structs.replace(operation, earliest=earliest)


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 0.3, 0.9]),
    missing=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    breakdowns=st.booleans(),
)
def test_what_happens_keeps_the_rules_of_the_shop(
    name: str, seed: int, spread: float, missing: float, breakdowns: bool
) -> None:
    chance = Chance(spread=spread, missing=missing, breakdowns=breakdowns)
    history = run(world(seed, chance, orders_per_day=3.0), POLICIES[name]())
    assert impossible(history) == []
    assert set(history.promised) == {order.id for order in history.world.orders}


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_history(name: str) -> None:
    first, second = (run(world(7), POLICIES[name]()) for _ in range(2))
    assert first.done == second.done
    assert first.promised == second.promised
    assert [(r.time, r.causes, r.moved) for r in first.replans] == [
        (r.time, r.causes, r.moved) for r in second.replans
    ]
    assert run(world(8), POLICIES[name]()).done != first.done


def test_every_policy_meets_the_same_world() -> None:
    """Durations belong to an operation on a machine, whoever put it there and whenever."""
    seen: dict[tuple[str, str], set[int]] = {}
    orders: set[tuple[object, ...]] = set()
    for make in POLICIES.values():
        history = run(world(3), make())
        spans = history.world.breakdowns
        orders.add(tuple(history.world.orders[n].due for n in range(len(history.world.orders))))
        for one in history.done:
            if not one.prepared:
                down = sum(
                    max(0, min(one.end, up) - max(one.start, since)) for since, up in spans[one.machine]
                )
                seen.setdefault((one.operation, one.machine), set()).add(one.end - one.start - down)
    assert len(orders) == 1
    assert all(len(seconds) == 1 for seconds in seen.values())
    assert len(seen) > len({operation for operation, _ in seen}), "some went to different machines"


def test_draws_have_the_asked_spread_and_share() -> None:
    drawn = world(5, Chance(spread=0.3, missing=0.1), orders_per_day=60.0)
    operations = [operation for order in drawn.orders for operation in order.operations]
    ratios = [drawn.seconds(o, o.alternatives[0].machine) / o.alternatives[0].seconds for o in operations]
    assert 0.69 < min(ratios) < 0.73
    assert 1.27 < max(ratios) < 1.31
    assert abs(sum(ratios) / len(ratios) - 1) < 0.02
    unheard = [drawn.unheard(o.id, what) for o in operations for what in ("start", "end")]
    assert abs(sum(unheard) / len(unheard) - 0.1) < 0.02
    assert stream(1, "a", "b").random() != stream(1, "a", "c").random()


class Noting:
    """A planner that keeps its plans and has each one validated."""

    def __init__(self) -> None:
        self.plans: list[Schedule] = []

    def __call__(self, problem: Problem) -> Schedule:
        made = plan(problem)
        assert violations(problem, made) == []
        self.plans.append(made)
        return made


class Strict(Rolling):
    """The dispatcher, but nothing goes before its turn."""

    strict = True


@pytest.mark.parametrize("make", [PlanOnce, Strict])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_chance_the_plan_is_what_happens(make: type[Rolling], seed: int) -> None:
    planner = Noting()
    history = run(at_once(world(seed, CALM)), make(planner))
    assert impossible(history) == []
    (made,) = planner.plans
    happened = {d.operation: (d.machine, d.start, d.end) for d in history.done if not d.prepared}
    assert happened == {name: (a.machine, a.start, a.end) for name, a in made.assignments.items()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lot_that_goes_first_makes_no_order_late(seed: int) -> None:
    """Without chance all that can differ from the plan is what was let go first."""
    planner = Noting()
    history = run(at_once(world(seed, CALM)), Rolling(planner))
    first = planner.plans[0]
    finish = history.finishes()
    for order in history.world.orders:
        planned = max(first.assignments[o.id].end for o in order.operations)
        assert finish[order.id] <= max(planned, order.due)


def test_without_chance_nothing_is_later_than_last_planned() -> None:
    planner = Noting()
    history = run(world(4, CALM), PlanOnce(planner))
    for done in history.done:
        if not done.prepared:
            machine, start = history.planned[done.operation]
            assert done.machine == machine
            assert done.start <= start


def test_plans_stay_valid_when_everything_goes_wrong() -> None:
    planner = Noting()
    run(world(11, Chance(spread=0.9, missing=0.5), orders_per_day=8.0), Rolling(planner))
    assert len(planner.plans) > 30


class Curious(Fifo):
    """FIFO that compares what it is shown with what has happened."""

    def __init__(self) -> None:
        self.hidden = 0

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        shown = {o.id for o in self.board.candidates(machine, setup, now)}
        ends = {done.operation: done.end for done in self.history.done}
        for name, operation in self.board.open.items():
            there = all(ends.get(p, now + 1) + self.board.transport <= now for p in operation.predecessors)
            fits = self.board.fits(machine, setup, operation, now)
            if there and fits and operation.alternative(machine) and name not in self.board.begun:
                self.hidden += name not in shown
            else:
                assert name not in shown
        return super().choose(machine, setup, now)

    def begin(self, board: Board, history: History) -> None:
        super().begin(board, history)
        self.history = history


def test_a_lot_whose_scan_is_missing_is_seen_by_nobody() -> None:
    heard, unheard = Curious(), Curious()
    run(world(2, Chance(missing=0.0)), heard)
    run(world(2, Chance(missing=0.3)), unheard)
    assert heard.hidden == 0
    assert unheard.hidden > 0


def test_rules_pick_what_they_are_named_after() -> None:
    """Two lots wait at a machine: FIFO takes the one that came first, EDD the one that is due first."""
    made = at_once(world(1, CALM), 12)
    for policy, key in ((Fifo(), "arrival"), (Edd(), "due")):
        done = [d for d in run(made, policy).done if d.machine in ("laser-1", "laser-2")]
        orders = [next(o for o in made.orders if d.operation.startswith(o.id)) for d in done]
        taken = [o for _, o in sorted(zip((d.taken for d in done), orders, strict=True), key=lambda p: p[0])]
        # what would not end before the shift does is passed over, so only the first hours are compared
        values = [getattr(order, key) for order in taken[:8]]
        assert values == sorted(values)


def test_the_check_finds_what_cannot_be() -> None:
    history = run(world(1), Fifo())
    assert impossible(history) == []
    first = min((d for d in history.done if d.operation.endswith("-1")), key=lambda d: d.taken)

    def with_changed(changed: Done) -> list[str]:
        done = [changed if d is first else d for d in history.done]
        return impossible(replace_history(history, done))

    assert any("never done" in text for text in impossible(replace_history(history, history.done[1:])))
    again = replace(first, taken=first.taken + 1)
    assert any("twice" in text for text in impossible(replace_history(history, [*history.done, again])))
    assert any("takes" in text for text in with_changed(replace(first, end=first.end + 1)))
    assert any("its order came" in t for t in with_changed(replace(first, taken=first.taken - 86_400)))
    assert any("nobody works" in t for t in with_changed(replace(first, taken=first.taken - 86_400)))
    assert any("changeover" in text for text in with_changed(replace(first, start=first.start + 1)))
    assert any("cannot run" in text for text in with_changed(replace(first, machine="pack-1")))
    later = replace(first, taken=first.end + 10**6, start=first.end + 10**6, end=2 * first.end)
    assert any("began at" in text and "ended at" in text for text in with_changed(later))


def replace_history(history: History, done: list[Done]) -> History:
    return replace(history, done=done)


def test_figures_are_those_of_the_history() -> None:
    history = run(at_once(world(1, CALM), 2), Fifo())
    finish = history.finishes()
    one, two = history.world.orders
    late = [max(0, finish[o.id] - o.due) * o.weight for o in (one, two)]
    found = figures(history)
    assert found.weighted_tardiness_hours == pytest.approx(sum(late) / 2 / 3600)
    assert found.on_time_share == sum(not seconds for seconds in late) / 2
    assert found.changeover_hours * 3600 == pytest.approx(sum(d.start - d.taken for d in history.done))
    assert found.moved_share is None


def test_of_rules_only_that_with_setups_looks_at_them() -> None:
    """All lots are there from the beginning: what is painted next is where the two differ."""
    drawn = at_once(world(2, CALM))
    hours = {rule: sum(d.start - d.taken for d in run(drawn, rule()).done) for rule in (Atc, Atcs)}
    assert hours[Atcs] < hours[Atc]
