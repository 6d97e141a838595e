"""AGVs as the page shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.ledger.reading import Machine, Tag
from cloud.live import LiveValue, LiveValues
from cloud.web.speech import CHINA
from cloud.web.vehicles import draw, site_graph, vehicles
from protocols.documents import load
from protocols.site import Site
from protocols.values import Quality, Value

FILE = Path(__file__).parents[3] / "firmware_configs" / "sites" / "demo" / "site.yaml"
SITE = load(FILE, Site)
NOW = 1_700_000_000_000_000
TAGS = [
    Tag(number, f"agv-1/{name}", "string", "", "machining", "agv-1", role, 60.0, True)
    for number, (name, role) in enumerate(
        [("state", "state"), ("mission", "mission"), ("battery", "battery"), ("x", ""), ("y", "")]
    )
]


def live(*values: Value, ts: int = NOW) -> LiveValues:
    made = LiveValues()
    for number, value in enumerate(values):
        if value is not None:
            made.put(number, LiveValue(ts, value, Quality.GOOD))
    return made


def test_a_device_with_missions_is_a_vehicle_and_no_other_is() -> None:
    other = Tag(9, "laser-1/state", "int16", "", "machining", "laser-1", "state", 60.0, True)
    (found,) = vehicles(SITE, [*TAGS, other])
    assert (found.device, found.title) == ("agv-1", "AGV 1")
    assert vehicles(SITE, [other]) == []


def test_state_battery_mission_and_place_are_shown() -> None:
    graph = site_graph(SITE, FILE)
    assert graph is not None
    html = draw(vehicles(SITE, TAGS), live("driving", "op-1<laser-1", 84.4, 8.0, -4.0), graph, NOW)
    for part in ("AGV 1", "driving", "84 %", "op-1&lt;laser-1", 'cx="8.0" cy="4.0"', ">brake-1<"):
        assert part in html
    assert "old" not in html


@pytest.mark.parametrize(
    ("mission", "at", "words"),
    [
        ("26-0011-2-20<laser-1:ab12cd34", "brake-1", ("from Laser 1 for 26-0011-2-20", "Press brake")),
        ("home:ab12cd34", "park-1", ("to its parking place", "park-1 (parked)")),
        ("op<saw-9:ab12cd34", "b3", ("op&lt;saw-9:ab12cd34", "b3")),
        (17, 4, ("17", "Welding 1")),
        (17.0, 99.0, ("17", "99")),
        ("M<1>", "<b>", ("M&lt;1&gt;", "&lt;b&gt;")),
    ],
)
def test_missions_and_places_are_told_as_people_call_them(
    mission: Value, at: Value, words: tuple[str, str]
) -> None:
    graph = site_graph(SITE, FILE)
    assert graph is not None
    numbered = {**graph.stations, "weld-1": graph.stations["weld-1"].model_copy(update={"number": 4})}
    graph = graph.model_copy(update={"stations": numbered})
    told = [
        Tag(n, f"agv-1/{name}", "string", "", "machining", "agv-1", name, 60.0, True)
        for n, name in enumerate(("mission", "station"))
    ]
    html = draw(vehicles(SITE, told), live(mission, at), graph, NOW, cells=SITE.workcells())
    for part in words:
        assert f"<td>{part}</td>" in html


def test_what_is_not_known_is_not_made_up() -> None:
    graph = site_graph(SITE, FILE)
    html = draw(vehicles(SITE, TAGS), LiveValues(), graph, NOW)
    assert "no data" in html
    assert "circle" not in html
    assert "30 s old" in draw(vehicles(SITE, TAGS), live("idle"), graph, NOW + 30_000_000)


def test_a_vehicle_that_tells_numbers_has_the_words_of_its_profile() -> None:
    machine = Machine(
        "agv-1", "machining", True, 1, NOW, NOW + 25_000_000, "", "executing", "processing", 1, "charging"
    )
    numbers = live(4, 0, 31.0)
    html = draw(vehicles(SITE, TAGS), numbers, None, NOW + 30_000_000, machines={"agv-1": machine})
    assert "<td>charging</td>" in html
    assert "<td>–</td>" in html, "mission 0 is none"
    assert "old" not in html, "read since, though nothing has changed"
    assert "<td>充电</td>" in draw(vehicles(SITE, TAGS), numbers, None, NOW, CHINA, {"agv-1": machine})


def test_a_graph_that_cannot_be_read_is_no_map(tmp_path: Path) -> None:
    assert site_graph(SITE, tmp_path / "site.yaml") is None
    (tmp_path / "graph.yaml").write_text("nodes: {}\n", "utf-8")
    assert site_graph(SITE, tmp_path / "site.yaml") is None
