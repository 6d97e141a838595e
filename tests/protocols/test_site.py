"""The site file: what holds together is accepted, and every contradiction is named."""

from __future__ import annotations

import copy
import json
from typing import Any
from uuid import UUID, uuid5

import pytest
from pydantic import ValidationError

from protocols import documents
from protocols.documents import DocumentError
from protocols.site import Site

ROOT = UUID("12345678-1234-5678-1234-567812345678")


def uuid(name: str) -> str:
    return str(uuid5(ROOT, name))


def cell(name: str, kind: str = "brake", **more: object) -> dict[str, Any]:
    return {"id": name, "uuid": uuid(name), "title": name.title(), "kind": kind, **more}


def device(name: str, *cells: str, **more: object) -> dict[str, Any]:
    return {
        "id": name,
        "asset": uuid("asset " + name),
        "profile": "acme/press",
        "url": "modbus://10.0.0.1:502?unit=1",
        "workcells": list(cells),
        **more,
    }


SITE: dict[str, Any] = {
    "id": "demo",
    "uuid": uuid("demo"),
    "title": "Demo",
    "areas": [
        {
            "id": "sheet",
            "uuid": uuid("sheet"),
            "title": "Sheet metal",
            "lines": [
                {
                    "id": "line-1",
                    "uuid": uuid("line-1"),
                    "title": "Line 1",
                    "workcells": [cell("laser-1", "laser", run="nest", capacity=20), cell("brake-1")],
                },
                {"id": "line-2", "uuid": uuid("line-2"), "title": "Line 2", "workcells": [cell("asm-1")]},
            ],
        }
    ],
    "edges": [
        {
            "id": "machining",
            "workcells": ["laser-1", "brake-1"],
            "devices": [device("laser-1", "laser-1"), device("meter-1")],
        },
        {"id": "assembly", "workcells": ["asm-1"], "devices": []},
    ],
}


def changed(change: Any) -> dict[str, Any]:
    site = copy.deepcopy(SITE)
    change(site)
    return site


def laser(site: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = site["areas"][0]["lines"][0]["workcells"][0]
    return found


def test_site_that_holds_together() -> None:
    site = Site.model_validate(SITE)
    assert list(site.workcells()) == ["laser-1", "brake-1", "asm-1"], "in plant order"
    assert site.edge_of() == {"laser-1": "machining", "brake-1": "machining", "asm-1": "assembly"}
    assert list(site.devices()) == ["laser-1", "meter-1"]
    assert site.edge("assembly").workcells == ("asm-1",)
    assert site.workcells()["laser-1"].capacity == 20
    assert site.calendar.shifts == ()


def test_unknown_edge_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r'site "demo" has no edge "paint" \(it has machining, assembly\)'):
        Site.model_validate(SITE).edge("paint")


def test_site_survives_its_own_dump() -> None:
    site = Site.model_validate(SITE)
    assert Site.model_validate_json(site.model_dump_json()) == site


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda s: s["areas"][0]["lines"][1]["workcells"].append(cell("brake-1")),
            'workcell "brake-1" is declared twice',
        ),
        (
            lambda s: s["edges"][1]["workcells"].append("paint-1"),
            'edge "assembly" serves workcell "paint-1", which no line has',
        ),
        (
            lambda s: s["edges"][1]["workcells"].append("brake-1"),
            'workcell "brake-1" is served by "machining" and "assembly"',
        ),
        (
            lambda s: s["edges"][1]["devices"].append(device("meter-1")),
            'device "meter-1" is declared twice',
        ),
        (
            lambda s: s["edges"][1]["devices"].append(device("saw-1", "saw-1")),
            'device "saw-1" stands at workcell "saw-1", which no line has',
        ),
        (lambda s: s["edges"][0].update(id="Machining"), "should match pattern"),
        (lambda s: s["edges"][0].update(id="a" * 33), "should match pattern"),
        (lambda s: s.update(colour="red"), "Extra inputs are not permitted"),
        (lambda s: s["edges"][0]["devices"][0].update(clock="wall"), "'trust', 'offset' or 'receive'"),
        (
            lambda s: s["areas"][0]["lines"][0]["workcells"][0].update(capacity=0),
            "greater than or equal to 1",
        ),
        (
            lambda s: s["areas"][0]["lines"][0]["workcells"][0].update(run="heap"),
            "'single', 'nest' or 'batch'",
        ),
    ],
)
def test_contradiction_is_named(change: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Site.model_validate(changed(change))


def test_all_contradictions_are_named_at_once() -> None:
    def change(site: dict[str, Any]) -> None:
        site["edges"][1]["workcells"] += ["paint-1", "brake-1"]

    with pytest.raises(ValidationError) as refused:
        Site.model_validate(changed(change))
    assert "paint-1" in str(refused.value)
    assert "served by" in str(refused.value)


@pytest.mark.parametrize("time", ["24:00", "6:00", "06:60", "6", "06:00:00", "morning"])
def test_time_of_day_is_written_in_one_way(time: str) -> None:
    shifts = [{"name": "early", "days": [1], "start": time, "end": "14:00"}]
    with pytest.raises(ValidationError, match=r"is not a time of day: write HH:MM, e.g. 06:00"):
        Site.model_validate(SITE | {"calendar": {"shifts": shifts}})


def test_weekday_zero_is_refused() -> None:
    shifts = [{"name": "early", "days": [0], "start": "06:00", "end": "14:00"}]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Site.model_validate(SITE | {"calendar": {"shifts": shifts}})


def test_a_time_zone_that_is_none_names_the_nearest() -> None:
    with pytest.raises(
        ValidationError, match=r'"Europe/Berln" is not a time zone — did you mean Europe/Berlin'
    ):
        Site.model_validate(SITE | {"calendar": {"timezone": "Europe/Berln"}})
    with pytest.raises(ValidationError, match="write an IANA name"):
        Site.model_validate(SITE | {"calendar": {"timezone": "../../etc/passwd"}})


def test_each_contradiction_stands_at_its_place_with_the_nearest_name() -> None:
    site = copy.deepcopy(SITE)
    site["edges"][1]["workcells"] += ["lasr-1"]
    site["edges"][0]["devices"][0]["workcells"] = ["brake1"]
    site["edges"][1]["id"] = "machining"
    site["transport"] = {"seconds": {"laser-1>asm1": 5, "laser-1": 5}}
    site["areas"][0]["lines"][0]["workcells"][0]["capacity"] = 0
    text = json.dumps(site, indent=1, default=str)
    with pytest.raises(DocumentError) as caught:
        documents.parse(text, "site.yaml").validate(Site)
    found = {problem.path: problem.message for problem in caught.value.problems}
    lines = text.splitlines()
    assert all(problem.line > 1 for problem in caught.value.problems)
    assert "did you mean laser-1?" in found["edges.1.workcells.1"]
    assert "did you mean brake-1?" in found["edges.0.devices.0.workcells.0"]
    assert found["edges.1.id"] == 'edge "machining" is declared twice'
    assert "did you mean asm-1?" in found["transport.seconds.laser-1>asm1"]
    assert "write from>to" in found["transport.seconds.laser-1"]
    assert "must be at least 1" in found["areas.0.lines.0.workcells.0.capacity"]
    (wrong,) = [p for p in caught.value.problems if p.path == "edges.1.workcells.1"]
    assert "lasr-1" in lines[wrong.line - 1]


def test_a_place_copied_with_its_uuid_is_told() -> None:
    site = copy.deepcopy(SITE)
    cells = site["areas"][0]["lines"][0]["workcells"]
    cells.append({**cells[0], "id": "laser-9"})
    with pytest.raises(ValidationError, match='the uuid of workcell "laser-9" is that of workcell "laser-1"'):
        Site.model_validate(site)


def test_two_devices_may_belong_to_one_machine() -> None:
    site = copy.deepcopy(SITE)
    first, second = site["edges"][0]["devices"][:2]
    second["asset"] = first["asset"]
    Site.model_validate(site)
    second["asset"] = site["areas"][0]["uuid"]
    with pytest.raises(ValidationError, match='the asset of device "meter-1" is the uuid of area'):
        Site.model_validate(site)


def with_crew() -> dict[str, Any]:
    """The site with two shifts, two welders (one in the late shift), a fixture and an AGV."""
    site = copy.deepcopy(SITE)
    shifts = [
        {"name": "early", "days": [1], "start": "06:00", "end": "14:00"},
        {"name": "late", "days": [1], "start": "14:00", "end": "22:00"},
    ]
    site["calendar"] = {"shifts": shifts, "holidays": {"2026-12-25": "Christmas Day"}}
    site["crew"] = {"welding": {"title": "Welders", "heads": 2, "shifts": {"late": 1}}}
    site["tools"] = {"f2": {"title": "Fixture F2", "count": 3}}
    site["transport"] = {"vehicles": ["meter-1"], "empty": 20}
    laser(site)["needs"] = {"welding": 2, "f2": 1}
    return site


def test_crews_tools_and_vehicles() -> None:
    site = Site.model_validate(with_crew())
    assert site.shared() == {"welding": 2, "f2": 3}
    assert (site.vehicles(), site.transport.empty) == (("meter-1",), 20)
    assert site.workcells()["laser-1"].needs == {"welding": 2, "f2": 1}
    assert Site.model_validate_json(site.model_dump_json()) == site
    number = Site.model_validate({**SITE, "transport": {"vehicles": 3}})
    assert (number.transport.vehicles, number.vehicles()) == (3, ())
    assert Site.model_validate(SITE).transport.vehicles is None


def test_what_does_not_fit_a_crew_stands_at_its_place() -> None:
    site = with_crew()
    site["crew"]["welding"]["shifts"] = {"lat": 1}
    site["crew"]["f2"] = {"title": "F2", "heads": 0}
    site["transport"]["vehicles"] = ["meter-2"]
    site["calendar"]["shifts"][1]["breaks"] = [
        {"start": "21:45", "end": "22:15"},
        {"start": "18:00", "end": "18:00"},
        {"start": "17:00", "end": "17:15"},
    ]
    laser(site)["needs"] = {"welding": 3, "wielding": 1}
    text = json.dumps(site, indent=1, default=str)
    with pytest.raises(DocumentError) as caught:
        documents.parse(text, "site.yaml").validate(Site)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert found == {
        "crew.welding.shifts.lat": 'there is no such shift: "lat" is not one of early, late '
        "— did you mean late?",
        "tools.f2": '"f2" is the name of a crew, too: choose another',
        "transport.vehicles.0": 'no edge has such a device: "meter-2" is not one of laser-1, meter-1 '
        "— did you mean meter-1?",
        "calendar.shifts.1.breaks.0": "the break from 21:45 to 22:15 does not lie within the shift "
        '"late" from 14:00 to 22:00',
        "calendar.shifts.1.breaks.1": "the break from 18:00 to 18:00 does not lie within the shift "
        '"late" from 14:00 to 22:00',
        "areas.0.lines.0.workcells.0.needs.welding": "3 are needed, and there are never more than 2",
        "areas.0.lines.0.workcells.0.needs.wielding": 'neither crew nor tools have it: "wielding" is not '
        "one of welding, f2 — did you mean welding?",
    }
    assert all(problem.line > 1 for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"calendar": {"holidays": {"2026-13-25": "?"}}}, '"2026-13-25" is not a day: write YYYY-MM-DD'),
        ({"calendar": {"holidays": {"25.12.2026": "?"}}}, '"25.12.2026" is not a day: write YYYY-MM-DD'),
        ({"transport": {"vehicles": 0}}, "0 must be at least 1"),
        ({"transport": {"vehicles": "two"}}, '"two" is not a whole number'),
        ({"crew": {"welding": {"title": "Welders", "heads": -1}}}, "-1 must be at least 0"),
        ({"crew": {"welding": {"title": "Welders"}}}, 'missing key "heads"'),
        ({"tools": {"F2": {"title": "Fixture"}}}, '"F2" does not match'),
    ],
)
def test_values_that_cannot_be(part: dict[str, Any], problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        documents.parse(json.dumps({**SITE, **part}, default=str), "site.yaml").validate(Site)
    (found,) = caught.value.problems
    assert problem in found.message
