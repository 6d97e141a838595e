"""When machines, crews and vehicles are there: calendar, decisions, and what is down."""

from typing import Any

import pytest

from cloud.dispatching.floor.availability import Availability, longest_work
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.floor.floor import Floor
from cloud.dispatching.floor.outages import Down
from cloud.dispatching.shop.problem import Level, Window
from protocols.documents import loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, site_text

H = 3600
HOUR = H * SECOND
SHIFTS = (
    "{timezone: UTC, holidays: {2026-11-24: Day of the saint}, shifts: ["
    "{name: early, days: [1, 2, 3, 4, 5], start: '06:00', end: '14:00', "
    "breaks: [{start: '09:00', end: '09:30'}]}, "
    "{name: late, days: [1, 2, 3, 4, 5], start: '14:00', end: '22:00'}]}"
)
CREW = "crew: {welding: {title: Welders, heads: 2, shifts: {late: 1}}}\n"
AGVS = (
    "edges: [{id: hall, workcells: [laser-1], devices: ["
    "{id: agv-1, asset: 00000000-0000-4000-8000-000000000091, profile: a/b, url: 'modbus://127.0.0.1:502'},"
    "{id: agv-2, asset: 00000000-0000-4000-8000-000000000092, profile: a/b, url: 'modbus://127.0.0.1:503'}]}]"
)


def site(calendar: str = SHIFTS, more: str = CREW, fleet: str = "") -> Site:
    """Monday 2026-11-23, 08:00 UTC is now; Tuesday is a holiday."""
    text = site_text(calendar)
    if fleet:
        start, end = text.index("\nedges:") + 1, text.index("\ntransport:") + 1
        text = text[:start] + AGVS + "\n" + f"transport: {{default: 60, empty: 30, vehicles: {fleet}}}\n"
        assert end > start
    return loads(text + more, Site, "site.yaml")


def floor(*decisions: Decision, **more: Any) -> Floor:
    empty: dict[str, Any] = {
        "now": NOW_US,
        "operations": (),
        "runs": (),
        "leases": {},
        "asked": frozenset(),
        "finished": {},
        "setups": {},
        "down": {},
        "version": 0,
        "planned": {},
        "ended": {},
    }
    return Floor(**empty | more, decisions=decisions)


def at(hours: float) -> int:
    return NOW_US + round(hours * HOUR)


def decided(kind: Kind, start: float, end: float, **more: Any) -> Decision:
    return Decision(kind=kind, start=at(start), end=at(end), **more)


def windows(of: Site, *decisions: Decision, cell: str = "weld-1", days: int = 2, **more: Any) -> list[Window]:
    available = Availability(floor(*decisions, **more), of, days, NOW_US)
    return list(available.windows(of.workcells()[cell]))


def rest(start: float, end: float, reason: str) -> Window:
    return Window(start=round(start * H), end=round(end * H), reason=reason, pause=True)


def test_rests_are_pauses_with_their_names() -> None:
    assert windows(site()) == [
        rest(1, 1.5, "break"),
        rest(14, 46, "Day of the saint"),
    ]
    assert windows(site(calendar="{}", more="")) == []


def test_overtime_is_worked_where_it_was_decided() -> None:
    both = decided(Kind.OVERTIME, 1, 20)
    here = decided(Kind.OVERTIME, 16, 18, workcell="weld-1")
    assert windows(site(), both) == [rest(20, 46, "Day of the saint")]
    assert windows(site(), here)[1:] == [rest(14, 16, "Day of the saint"), rest(18, 46, "Day of the saint")]
    assert windows(site(), here, cell="coat-1")[1:] == [rest(14, 46, "Day of the saint")]


def test_a_planned_stop_and_a_fault_are_no_pauses() -> None:
    stop = decided(Kind.CLOSED, 2, 3, workcell="weld-1", reason="cleaning")
    down = {"weld-1": Down("weld-1", at(-1), at(0.5), "jam")}
    assert windows(site(), stop, down=down)[2:] == [
        Window(start=2 * H, end=3 * H, reason="cleaning"),
        Window(start=-H, end=H // 2, reason="jam"),
    ]
    assert len(windows(site(), stop, down=down, cell="coat-1")) == 2


def levels(of: Site, *decisions: Decision, days: int = 1) -> list[tuple[float, float, int]]:
    (crew,) = Availability(floor(*decisions), of, days, NOW_US).resources()
    assert crew.id == "welding"
    return [(level.start / H, level.end / H, level.capacity) for level in crew.levels]


def test_heads_are_those_of_the_shift() -> None:
    """Early there are two; the night and the holiday need no level of their own."""
    assert levels(site()) == [(6, 24, 1)]
    assert levels(site(), days=3) == [(6, 46, 1), (54, 70, 1)]
    (crew,) = Availability(floor(), site(), 1, NOW_US).resources()
    assert (crew.capacity, crew.label) == (2, "Welders")


def test_who_is_absent_and_who_helps_out() -> None:
    absent = decided(Kind.HEADS, -2, 7, skill="welding", heads=-1)
    assert levels(site(), absent) == [(0, 6, 1), (6, 7, 0), (7, 24, 1)]
    helper = decided(Kind.HEADS, 5, 8, skill="welding", heads=2)
    assert levels(site(), absent, helper) == [(0, 5, 1), (5, 6, 3), (7, 8, 3), (8, 24, 1)]
    assert levels(site(), decided(Kind.HEADS, 0, 24, skill="welding", heads=-5)) == [(0, 24, 0)]


def test_overtime_has_the_usual_heads() -> None:
    assert levels(site(), decided(Kind.OVERTIME, 14, 20)) == [(6, 14, 1)]


def test_a_crew_round_the_clock() -> None:
    always = site(calendar="{}", more="crew: {welding: {title: Welders, heads: 2}}\n")
    assert levels(always) == []
    assert levels(always, decided(Kind.HEADS, 3, 5, skill="welding", heads=-1)) == [(3, 5, 1)]


def test_vehicles_that_are_stuck_come_back_when_they_are_expected() -> None:
    stuck = {"agv-2": Down("agv-2", at(-1), at(0.5), "fatal: lost its way")}

    def vehicles(fleet: str, **more: Any) -> Any:
        of = site(calendar="{}", more="", fleet=fleet)
        return Availability(floor(**more), of, 1, NOW_US).vehicles()

    found = vehicles("[agv-1, agv-2]")
    assert (found.count, found.empty, found.levels) == (2, 30, ())
    assert vehicles("[agv-1, agv-2]", stuck=stuck).levels == (Level(start=0, end=H // 2, capacity=1),)
    assert vehicles("3", stuck=stuck).levels == ()
    assert Availability(floor(), site(), 1, NOW_US).vehicles() is None
    both = {"agv-1": Down("agv-1", at(-1), at(0.25), "locked")} | stuck
    assert [(level.end / H, level.capacity) for level in vehicles("[agv-1, agv-2]", stuck=both).levels] == [
        (0.25, 0),
        (0.5, 1),
    ]


@pytest.mark.parametrize(
    ("hours", "rested"), [(0.5, 0), (1, 0), (1.25, 0.5), (13.5, 0.5), (13.75, 32.5), (20, 33)]
)
def test_what_work_in_hand_rests(hours: float, rested: float) -> None:
    of = site()
    available = Availability(floor(), of, 3, NOW_US)
    assert available.resting_seconds(of.workcells()["weld-1"], round(hours * H)) == rested * H


def test_the_longest_work_counts_overtime() -> None:
    assert longest_work(floor(), site()) == 12.5 * H
    assert longest_work(floor(decided(Kind.OVERTIME, 14, 16)), site()) == 14.5 * H
    assert longest_work(floor(), site(calendar="{}", more="")) is None


def test_overtime_is_where_there_would_be_no_work_otherwise() -> None:
    decision = decided(Kind.OVERTIME, 0.5, 3, workcell="weld-1")
    available = Availability(floor(decision), site(), 2, NOW_US)
    cells = site().workcells()
    assert list(available.overtime(cells["weld-1"])) == [Window(start=H, end=3 * H // 2, reason="overtime")]
    assert list(available.overtime(cells["laser-1"])) == []
