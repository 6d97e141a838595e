"""The site graph: what is wrong is said at its place, and ways are the shortest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.documents import DocumentError, load
from protocols.routing import NoWayError, Roads, between
from protocols.site import Site
from protocols.site_graph import GraphEdge, GraphNode, SiteGraph

DEMO = Path(__file__).parents[2] / "firmware_configs" / "sites" / "demo"

GOOD = """\
nodes:
  gate: {x: 0, y: 0}
  laser: {x: 6, y: 0}
  press: {x: 6, y: 8}
edges:
  - {from: gate, to: laser, both: true}
  - {from: laser, to: press}
  - {from: press, to: gate}
stations:
  laser-1: {node: laser, handshake: digital}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "graph.yaml"
    file.write_text(text, "utf-8")
    try:
        load(file, SiteGraph)
    except DocumentError as error:
        return [str(problem).removeprefix(f"{file}") for problem in error.problems]
    return []


def test_a_good_graph_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("from: laser, to: press}", "from: lasser, to: press}", ":7:12", "did you mean laser?"),
        ("node: laser,", "node: lasre,", ":10:19", "did you mean laser?"),
        ("handshake: digital", "handshake: analog", ":10:37", "digital"),
        ("  - {from: press, to: gate}\n", "", ":4:10", "can be reached, but not left again"),
        ("  - {from: laser, to: press}\n", "", ":4:10", "can be left, but not reached"),
        ("nodes:\n", "nodes:\n  far: {x: 99, y: 0}\n", ":2:8", "is an island"),
        ("from: laser, to: press}", "from: laser, to: laser}", "", "to itself"),
        ("from: press, to: gate}", "from: laser, to: gate}", ":8:5", "is there twice"),
        ("to: press}", "to: press, length: 2}", ":7:38", "shorter than the straight line of 8.00 m"),
        ("to: press}", "to: press, sped: 2}", ":7:30", "did you mean speed?"),
        ("x: 6, y: 8", "x: .nan, y: 8", ":4:14", ""),
    ],
)
def test_a_mistake_is_said_where_it_is_made(
    tmp_path: Path, old: str, new: str, place: str, message: str
) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert any(place in line and message in line for line in found), found


def test_a_station_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    text = GOOD.replace("nodes:\n", "nodes:\n  far: {x: 99, y: 0}\n").replace(
        "stations:\n", "stations:\n  saw: {node: far}\n"
    )
    assert any('the station of "saw"' in line for line in problems(tmp_path, text))


def test_the_demo_s_graph_has_a_station_for_every_workcell() -> None:
    graph, site = load(DEMO / "graph.yaml", SiteGraph), load(DEMO / "site.yaml", Site)
    assert set(graph.stations) == set(site.workcells())
    assert site.graph == "graph.yaml"
    with pytest.raises(KeyError, match="did you mean laser-1"):
        graph.station("laser-11")


points = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=7, unique=True)


@settings(max_examples=100)
@given(points, st.data())
def test_a_way_is_never_longer_than_any_other_one(spots: list[tuple[int, int]], data: st.DataObject) -> None:
    names = [f"n{n}" for n in range(len(spots))]
    ring = [(names[n], names[(n + 1) % len(names)]) for n in range(len(names))]
    pairs = [(a, b) for a in names for b in names if a != b and (a, b) not in ring]
    more = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    graph = SiteGraph(
        nodes={name: GraphNode(x=x, y=y) for name, (x, y) in zip(names, spots, strict=True)},
        edges=tuple(GraphEdge(start=a, to=b, speed=1) for a, b in [*ring, *more]),
    )
    roads = Roads(graph)
    cost = {(e.start, e.to): graph.length(e) for e in graph.ways()}
    best = {(a, b): 0.0 if a == b else cost.get((a, b), float("inf")) for a in names for b in names}
    for via in names:  # Floyd and Warshall, to be sure of Dijkstra
        for a in names:
            for b in names:
                best[a, b] = min(best[a, b], best[a, via] + best[via, b])
    for a in names:
        for b in names:
            found = roads.route(a, b)
            assert found.seconds == pytest.approx(best[a, b])
            assert [(e.start, e.to) for e in found.edges] == list(
                zip(found.nodes, found.nodes[1:], strict=False)
            )


def test_what_is_taken_is_not_used() -> None:
    roads = Roads(load(DEMO / "graph.yaml", SiteGraph))
    assert "b3" in roads.route("b4", "a3").nodes
    with pytest.raises(NoWayError, match="no free way from b4 to a3"):
        roads.route("b4", "a3", {"b3"})
    assert "b1" in roads.route("b4", "a3", {between("b3", "a3")}).nodes
    with pytest.raises(KeyError, match="zz"):
        roads.route("b4", "zz")
