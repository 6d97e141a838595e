"""Several vehicles on the demo's graph: never two at one place, and never stuck."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.documents import load
from protocols.fleet import Fleet, Haul
from protocols.routing import Roads
from protocols.site_graph import SiteGraph
from protocols.traffic import Traffic, TrafficError

ROADS = Roads(
    load(Path(__file__).parents[2] / "firmware_configs" / "sites" / "demo" / "graph.yaml", SiteGraph)
)
STATIONS = sorted(station.node for station in ROADS.graph.stations.values())
HOMES = {"agv-1": "park-1", "agv-2": "park-2", "agv-3": "park-3"}


def no_two_at_one_place(traffic: Traffic) -> None:
    taken: set[object] = set()
    for claim in traffic.claims.values():
        assert not taken & claim.held()
        taken |= claim.held()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    ends=st.lists(
        st.tuples(st.sampled_from(STATIONS), st.sampled_from(STATIONS)).filter(lambda p: p[0] != p[1]),
        min_size=1,
        max_size=25,
    ),
    ahead=st.integers(1, 6),
)
def test_three_vehicles_do_every_job_whatever_their_pace(
    seed: int, ends: list[tuple[str, str]], ahead: int
) -> None:
    rng = random.Random(seed)
    fleet = Fleet(ROADS, ahead=ahead)
    for name, home in HOMES.items():
        fleet.traffic.enter(name, home, home)
    waiting = [Haul(f"h{n}", pick, drop) for n, (pick, drop) in enumerate(ends)]
    begun: set[str] = set()
    done: list[str] = []
    still = 0
    while len(done) < len(ends) or any(claim.node != claim.home for claim in fleet.traffic.claims.values()):
        moved = False
        for trip in fleet.plan(waiting, dict.fromkeys(HOMES, 80.0)):
            moved = True
            if trip.haul is not None:
                assert trip.route.nodes[trip.picks_at] == trip.haul.pick
                assert trip.route.nodes[-1] == trip.haul.drop
                assert trip.haul.id not in begun
                begun.add(trip.haul.id)
                waiting.remove(trip.haul)
        for name in rng.sample(sorted(HOMES), 3):
            if name not in fleet.trips:
                continue
            base = fleet.release(name)
            no_two_at_one_place(fleet.traffic)
            claim = fleet.traffic.claims[name]
            if rng.random() < 0.5 and claim.at < base - 1:  # some are slower than others
                fleet.passed(name, claim.at + 1)
                moved = True
            if claim.at == len(claim.route) - 1:
                trip = fleet.trips[name]
                fleet.ended(name, claim.at)
                moved = True
                if trip.haul is not None:
                    done.append(trip.haul.id)
        still = 0 if moved else still + 1
        assert still < 60, f"stuck: {fleet.traffic.claims}"
    assert sorted(done) == sorted(begun)
    assert not fleet.trips


def test_two_vehicles_that_meet_on_a_spur_do_not_block_each_other() -> None:
    traffic = Traffic(ROADS)
    traffic.enter("agv-1", "laser-1", "park-1")
    traffic.enter("agv-2", "park-2", "park-2")
    into = ROADS.route("park-2", "laser-1", {"park-1"})
    assert traffic.assign("agv-2", into)  # agv-1 can still go home, as nobody has a2
    assert traffic.reserve("agv-2", 99) - 1 < into.nodes.index("a2"), "a2 is agv-1's only way out"
    assert traffic.assign("agv-1", ROADS.route("laser-1", "park-1", {"park-2"}))


def test_what_is_not_reserved_is_nobody_s_to_drive_on() -> None:
    traffic = Traffic(ROADS)
    traffic.enter("agv-1", "park-1", "park-1")
    with pytest.raises(TrafficError, match="agv-1 has it"):
        traffic.enter("agv-2", "park-1", "park-2")
    with pytest.raises(TrafficError, match="agv-1 parks there"):
        traffic.enter("agv-2", "park-2", "park-1")
    assert traffic.assign("agv-1", ROADS.route("park-1", "laser-1"))
    with pytest.raises(TrafficError, match="not reserved"):
        traffic.passed("agv-1", 2)
    with pytest.raises(TrafficError, match="still on its way"):
        traffic.assign("agv-1", ROADS.route("park-1", "laser-1"))


def test_an_empty_vehicle_takes_no_job_and_the_nearest_one_does() -> None:
    fleet = Fleet(ROADS)
    for name, home in HOMES.items():
        fleet.traffic.enter(name, home, home)
    job = Haul("h", "laser-1", "brake-1")
    (trip,) = fleet.plan([job], {"agv-1": 10.0, "agv-2": 90.0, "agv-3": 90.0})
    assert trip.vehicle == "agv-2"
