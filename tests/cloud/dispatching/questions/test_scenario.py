"""What each change does to a problem, and what is refused: all at once, with the name that was meant."""

from __future__ import annotations

import random

import msgspec
import pytest

from cloud.dispatching.questions.changes import (
    CancelledOrder,
    Change,
    LikeOrder,
    MachineDown,
    NewOrder,
    OrderTerms,
    OtherHeads,
    Overtime,
    PinnedOperation,
    SplitLot,
)
from cloud.dispatching.questions.refused import ImpossibleScenario
from cloud.dispatching.questions.scenario import EFFECTS, Scenario, apply, under
from cloud.dispatching.shop.problem import Level, Machine, Operation, Problem, Resource, State, Window
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.questions.small_shop import HOUR, NIGHT, small_shop, step, with_run
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop


def changed(*changes: Change, problem: Problem | None = None) -> Problem:
    return apply(problem or small_shop(), Scenario(title="test", changes=changes))


def operation(problem: Problem, name: str) -> Operation:
    return next(o for o in problem.operations if o.id == name)


def windows(problem: Problem, machine: str) -> list[tuple[int, int, str]]:
    found = next(m for m in problem.machines if m.id == machine)
    return sorted((w.start, w.end, w.reason) for w in found.unavailable)


def refusal(*changes: Change, problem: Problem | None = None) -> list[str]:
    with pytest.raises(ImpossibleScenario) as caught:
        changed(*changes, problem=problem)
    return [str(reason) for reason in caught.value.reasons]


def test_a_copy_of_an_order_has_its_own_routing_and_terms() -> None:
    problem = changed(LikeOrder(order="R", like="A", due=2 * HOUR, weight=9))
    made = [o for o in problem.operations if o.order_id == "R"]
    assert [o.id for o in made] == ["R/A.saw", "R/A.turn", "R/A.paint"]
    assert [o.predecessors for o in made] == [(), ("R/A.saw",), ("R/A.turn",)]
    assert {(o.due, o.weight, o.job_id, o.state) for o in made} == {(2 * HOUR, 9, "R/A", State.FREE)}
    assert made[2].setup == {"colour": "red"}
    assert not {o.id for o in made} & problem.published.keys()


def test_a_copy_of_an_order_in_progress_is_free() -> None:
    shop = small_shop()
    begun = msgspec.structs.replace(
        step("C.saw", "C", "SAW"), state=State.FIXED, machine="SAW", start=-HOUR, remaining=60
    )
    shop = msgspec.structs.replace(shop, operations=(*shop.operations[:-1], begun))
    copied = operation(changed(LikeOrder(order="R", like="C", due=HOUR), problem=shop), "R/C.saw")
    assert (copied.state, copied.machine, copied.start, copied.remaining) == (State.FREE, None, None, None)


def test_a_new_order_takes_the_terms_of_the_change() -> None:
    made = (step("R.1", "R", "SAW", weight=3), step("R.2", "R", "BOOTH", after="R.1"))
    kept = changed(NewOrder(order="R", operations=made))
    assert operation(kept, "R.1").weight == 3
    given = changed(NewOrder(order="R", operations=made, due=HOUR, weight=5, earliest=60))
    assert {(o.due, o.weight, o.earliest) for o in given.operations if o.order_id == "R"} == {(HOUR, 5, 60)}


def test_other_terms_go_to_every_operation_of_the_order() -> None:
    problem = changed(OrderTerms(order="A", due=HOUR), OrderTerms(order="B", weight=7))
    assert {(o.due, o.weight) for o in problem.operations if o.order_id == "A"} == {(HOUR, 1)}
    assert {(o.due, o.weight) for o in problem.operations if o.order_id == "B"} == {(5 * HOUR, 7)}


def test_a_cancelled_order_leaves_nothing_behind() -> None:
    problem = changed(CancelledOrder(order="A"), problem=with_run(small_shop()))
    assert "A" not in {o.order_id for o in problem.operations}
    assert problem.published == {}
    assert problem.runs[0].operations == ("B.paint",)


def test_what_is_frozen_of_a_cancelled_order_can_be_kept() -> None:
    shop = small_shop()
    shop = msgspec.structs.replace(
        shop, operations=(*shop.operations, step("C.turn", "C", "LATHE1", after="C.saw"))
    )
    assert refusal(CancelledOrder(order="C"), problem=shop) == [
        "change 1: order C cannot fall away: C.saw is frozen; keep_frozen cancels only what is not"
    ]
    problem = changed(CancelledOrder(order="C", keep_frozen=True), problem=shop)
    assert [o.id for o in problem.operations if o.order_id == "C"] == ["C.saw"]
    assert "nothing to cancel" in refusal(CancelledOrder(order="C", keep_frozen=True))[0]


def test_an_order_whose_parts_others_need_cannot_fall_away_alone() -> None:
    shop = small_shop()
    shop = msgspec.structs.replace(
        shop, operations=(*shop.operations, step("D.mount", "D", "BOOTH", after="A.paint"))
    )
    assert refusal(CancelledOrder(order="A"), problem=shop) == [
        "order D needs what order A makes (D.mount waits for it): cancel D too, or keep A"
    ]
    both = changed(CancelledOrder(order="A"), CancelledOrder(order="D"), problem=shop)
    assert {o.order_id for o in both.operations} == {"B", "C"}


def test_overtime_cuts_windows_and_spares_other_reasons() -> None:
    assert windows(changed(Overtime(start=8 * HOUR, end=10 * HOUR)), "SAW") == [(10 * HOUR, 24 * HOUR, NIGHT)]
    middle = changed(Overtime(start=9 * HOUR, end=10 * HOUR, machines=("SAW",)))
    assert windows(middle, "SAW") == [(8 * HOUR, 9 * HOUR, NIGHT), (10 * HOUR, 24 * HOUR, NIGHT)]
    assert windows(middle, "BOOTH") == [(8 * HOUR, 24 * HOUR, NIGHT)]
    assert windows(changed(Overtime(start=7 * HOUR, end=30 * HOUR)), "SAW") == []
    text = refusal(Overtime(start=8 * HOUR, end=10 * HOUR, reasons=("holiday",)))[0]
    assert "gains nothing: every machine is never closed for holiday" in text


def test_a_machine_that_fails_is_down_whatever_the_order_of_the_changes() -> None:
    down = MachineDown(machine="SAW", start=8 * HOUR, end=9 * HOUR, reason="blade")
    overtime = Overtime(start=8 * HOUR, end=10 * HOUR)
    expected = [(8 * HOUR, 9 * HOUR, "blade"), (10 * HOUR, 24 * HOUR, NIGHT)]
    assert windows(changed(down, overtime), "SAW") == windows(changed(overtime, down), "SAW") == expected


def test_more_and_fewer_heads_stand_on_top_of_the_levels() -> None:
    welders = Resource(id="welder", capacity=2, levels=(Level(start=10, end=20, capacity=1),))
    shop = msgspec.structs.replace(small_shop(), resources=(welders,))
    more = changed(OtherHeads(resource="welder", more=1, start=5, end=15), problem=shop)
    assert more.resources[0].capacity == 2
    assert [(x.start, x.end, x.capacity) for x in more.resources[0].levels] == [
        (5, 10, 3),
        (10, 15, 2),
        (15, 20, 1),
    ]
    fewer = changed(OtherHeads(resource="welder", more=-1, start=18, end=30), problem=shop)
    assert [(x.start, x.end, x.capacity) for x in fewer.resources[0].levels] == [
        (10, 18, 1),
        (18, 20, 0),
        (20, 30, 1),
    ]
    assert refusal(
        OtherHeads(resource="welder", more=-2, start=0, end=30),
        OtherHeads(resource="wleder", more=1, start=0, end=30),
        problem=shop,
    ) == [
        "change 1: 2 of welder cannot be missing: at times there is 1",
        'change 2: there is no crew or tool "wleder" — did you mean welder?',
    ]


def test_a_pinned_operation_goes_where_and_when_it_is_said() -> None:
    both = (
        PinnedOperation(operation="A.turn", machine="LATHE2"),
        PinnedOperation(operation="A.turn", start=6 * HOUR),
    )
    shop = changed(*both)
    pinned = operation(shop, "A.turn").pin
    assert pinned is not None
    assert (pinned.machine, pinned.start) == ("LATHE2", 6 * HOUR)
    planned = construct(shop).assignments["A.turn"]
    assert (planned.machine, planned.start) == ("LATHE2", 6 * HOUR)
    assert "pinned to nothing" in refusal(PinnedOperation(operation="A.turn"))[0]
    assert refusal(
        PinnedOperation(operation="A.turn", machine="SAW"),
        PinnedOperation(operation="C.saw", machine="SAW"),
        PinnedOperation(operation="A.trun", machine="SAW"),
        PinnedOperation(operation="A.turn", machine="LATHE3"),
    ) == [
        "change 1: A.turn cannot run on SAW; it can on LATHE1, LATHE2",
        "change 2: C.saw is fixed on SAW and cannot be pinned",
        'change 3: there is no operation "A.trun" — did you mean A.turn?',
        'change 4: there is no machine "LATHE3" — did you mean LATHE1?',
    ]


def test_everything_that_makes_no_sense_is_said_at_once() -> None:
    assert refusal(
        CancelledOrder(order="a"),
        MachineDown(machine="SAWW", start=3, end=2),
        MachineDown(machine="SAW", start=-3, end=-2),
        LikeOrder(order="B", like="AA", due=0, weight=-1),
        OrderTerms(order="A"),
        NewOrder(order="R", operations=(step("A.saw", "R", "LATHE"), step("R.2", "Q", "SAW", job_id="A"))),
        NewOrder(order="E", operations=()),
    ) == [
        'change 1: there is no order "a" — did you mean A?',
        "change 2: it ends at 2, not after its start 3",
        'change 2: there is no machine "SAWW" — did you mean SAW?',
        "change 3: it ends at -2, and now is 0: it is over already",
        "change 4: there is an order B already; call the new one otherwise",
        "change 4: weight -1 is less than 0",
        'change 4: there is no order "AA" — did you mean A?',
        "change 5: nothing changes for order A: name a due date or a weight",
        "change 6: there is an operation A.saw already; give the new one another id",
        'change 6: A.saw: there is no machine "LATHE" — did you mean LATHE1?',
        "change 6: R.2 is of order Q, not of R",
        "change 6: R.2: there is a job A already; give it another id",
        "change 7: the new order E has no operations",
    ]
    assert refusal() == ["it changes nothing: name one change at least"]


def test_what_only_the_whole_shows_is_refused_too() -> None:
    loop = (step("R.1", "R", "SAW", after="R.2"), step("R.2", "R", "SAW", after="R.1"))
    assert "waits for itself" in refusal(NewOrder(order="R", operations=loop))[0]


def test_a_lot_is_made_in_sublots_side_by_side() -> None:
    shop = changed(SplitLot(job="B", into=2))
    names = [o.id for o in shop.operations if o.job_id == "B"]
    assert names == ["B.saw/1", "B.saw/2", "B.turn/1", "B.turn/2", "B.paint/1", "B.paint/2"]
    assert operation(shop, "B.turn/2").predecessors == ("B.saw/2",)
    assert operation(shop, "B.turn/1").alternatives[0].run_seconds == HOUR // 2
    plan = construct(shop)
    assert violations(shop, plan) == []
    lathes = {plan.assignments[f"B.turn/{n}"].machine for n in (1, 2)}
    whole = construct(small_shop()).assignments["B.paint"].end
    assert max(plan.assignments[f"B.paint/{n}"].end for n in (1, 2)) <= whole
    assert lathes <= {"LATHE1", "LATHE2"}


def test_pieces_are_shared_and_the_time_in_proportion() -> None:
    saw = msgspec.structs.replace(step("S", "S", "SAW", hours=10), quantity=10, size=10)
    saw = msgspec.structs.replace(
        saw, alternatives=(msgspec.structs.replace(saw.alternatives[0], setup_seconds=60),)
    )
    turn = msgspec.structs.replace(
        step("T", "S", "LATHE1", hours=1, after="S"), quantity=10, overlaps={"S": 4}, max_lags={"S": HOUR}
    )
    other = msgspec.structs.replace(step("U", "U", "BOOTH", after="S"), quantity=10, overlaps={"S": 2})
    shop = msgspec.structs.replace(small_shop(), operations=(saw, turn, other), published={})
    split = changed(SplitLot(job="S", into=3), problem=shop)
    parts = [operation(split, f"S/{n}") for n in (1, 2, 3)]
    assert [(o.quantity, o.size, o.alternatives[0].run_seconds // HOUR) for o in parts] == [
        (4, 4, 4),
        (3, 3, 3),
        (3, 3, 3),
    ]
    assert {o.alternatives[0].setup_seconds for o in parts} == {60}
    second = operation(split, "T/2")
    assert (second.predecessors, second.overlaps, second.max_lags) == (("S/2",), {"S/2": 3}, {"S/2": HOUR})
    assert operation(split, "U").overlaps == {"S/1": 2, "S/2": 2, "S/3": 2}
    few = msgspec.structs.replace(shop, operations=(msgspec.structs.replace(saw, quantity=2),))
    assert refusal(SplitLot(job="S", into=3), problem=few) == [
        "change 1: S has 2 pieces and cannot be split into 3"
    ]


def test_what_is_not_split_waits_for_all_sublots_and_they_for_it() -> None:
    shop = with_run(small_shop())
    split = changed(SplitLot(job="A", into=3), problem=shop)
    assert operation(split, "A.paint").predecessors == ("A.turn/1", "A.turn/2", "A.turn/3")
    assert split.published["A.turn/1"] == shop.published["A.turn"]
    assert "A.turn" not in split.published
    assert refusal(SplitLot(job="C", into=2), SplitLot(job="A", into=1)) == [
        "change 1: job C cannot be split: all its work is frozen, leased or part of a run",
        "change 2: a lot is split into 2 to 20 sublots, not into 1",
    ]


def test_the_plan_becomes_the_published_one() -> None:
    shop = small_shop()
    plan = construct(shop)
    assert under(shop, plan).published == plan.placements()
    assert apply(under(shop, plan), Scenario(changes=(OrderTerms(order="A", weight=2),))).published


def test_every_kind_of_change_has_an_effect_and_a_name_in_json() -> None:
    kinds = set(Change.__args__)
    assert kinds == set(EFFECTS)
    scenario = Scenario(title="both", changes=(SplitLot(job="A"), Overtime(start=0, end=9)))
    written = msgspec.json.encode(scenario)
    assert b'"change":"split_lot"' in written
    assert msgspec.json.decode(written, type=Scenario) == scenario


@pytest.mark.parametrize("seed", range(12))
def test_a_scenario_of_any_shop_can_be_planned_and_leaves_frozen_work_alone(seed: int) -> None:
    rng = random.Random(seed)
    shop = random_shop(rng, operations=30, machines=5)
    orders = sorted({o.order_id for o in shop.operations})
    frozen = {o.id: o for o in shop.operations if o.state is State.FIXED}
    free_jobs = sorted(
        {o.job_id for o in shop.operations if o.state is State.FREE}
        - {o.job_id for o in shop.operations if any(o.id in run.operations for run in shop.runs)}
    )
    menu: list[Change] = [
        LikeOrder(order="R", like=rng.choice(orders), due=600),
        OrderTerms(order=rng.choice(orders), due=60, weight=4),
        MachineDown(machine="M1", start=0, end=1800),
        CancelledOrder(order=rng.choice([*orders[1:]]), keep_frozen=True),
        SplitLot(job=rng.choice(free_jobs), into=rng.randint(2, 4)),
    ]
    chosen = tuple(rng.sample(menu, 3))
    try:
        problem = changed(*chosen, problem=shop)
    except ImpossibleScenario as refused:
        # The draw may cancel what it splits, promises anew or copies, and orders that are all frozen.
        assert all("there is no" in str(r) or "frozen" in str(r) for r in refused.reasons)  # noqa: PT017
        return
    plan = construct(problem)
    assert violations(problem, plan) == []
    for name, was in frozen.items():
        assert operation(problem, name).start == was.start
        assert (plan.assignments[name].machine, plan.assignments[name].start) == (was.machine, was.start)


def test_windows_of_a_scenario_are_windows_of_the_problem() -> None:
    shop = changed(MachineDown(machine="LATHE1", start=0, end=4 * HOUR))
    found = next(m for m in shop.machines if m.id == "LATHE1").unavailable
    assert found[-1] == Window(start=0, end=4 * HOUR, reason="down")
    assert all(
        not (a.machine == "LATHE1" and a.start < 4 * HOUR) for a in construct(shop).assignments.values()
    )


@pytest.mark.parametrize("first", [0, 40, 80, 120, 160])
def test_a_split_lot_can_be_planned_whatever_else_the_shop_has(first: int) -> None:
    for seed in range(first, first + 40):
        rng = random.Random(seed)
        shop = random_shop(
            rng, operations=rng.randint(2, 15), machines=rng.randint(1, 4), second=1, features=ALL
        )
        free = [o for o in shop.operations if o.state is State.FREE and o.quantity > 3]
        grouped = {name for run in shop.runs for name in run.operations}
        jobs = {o.job_id for o in free if o.id not in grouped}
        jobs -= {o.job_id for o in shop.operations if 1 < o.quantity <= 3}
        for job in sorted(jobs):
            split = changed(SplitLot(job=job, into=rng.randint(2, 3)), problem=shop)
            assert violations(split, construct(split)) == []


def test_the_first_sublot_keeps_the_longest_lag_after_what_stays_whole() -> None:
    whole = step("S.heat", "S", "M", state=State.LEASED, machine="M", start=0)
    split = step("S.weld", "S", "M", after="S.heat", max_lags={"S.heat": 5}, quantity=4)
    shop = Problem(origin=0, now=0, machines=(Machine(id="M"),), operations=(whole, split))
    made = changed(SplitLot(job="S", into=2), problem=shop)
    assert operation(made, "S.weld/1").max_lags == {"S.heat": 5}
    assert operation(made, "S.weld/2").max_lags == {}
    assert violations(made, construct(made)) == []
