"""Health of the assets through the API: what is shown, and who may confirm a threshold."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec

from cloud.api.roles import Role
from cloud.ledger import tags
from cloud.maintenance import assets, cases
from cloud.maintenance.assets import HealthRow
from cloud.maintenance.case import Case
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.tables import ASSET_HEALTH
from protocols.catalogue import TagDefinition, catalogue
from protocols.lifecycles import CaseEvent, CaseState
from protocols.values import DataType
from tests.cloud.api.service import Door, opened
from tests.cloud.maintenance.health.course import FACTS, LIMITS, SPAN, fed, healthy, window

LASER = "b6de0459-4908-58bd-8e73-62fe1e58a6ee"
ROLES = {"vibration": "mm/s", "temperature": "°C", "spindle_load": "%"}


def worn() -> AssetHealth:
    health = AssetHealth()
    for number in range(1, 61):
        moved = 2.0 if number <= 40 else 2.0 + 0.2 * (number - 40)
        means = {"vibration": moved + healthy(60, mean=0.0)[number - 1], "temperature": 40 + number % 3}
        health.take(window(number, means), FACTS, LIMITS, SPAN)
    return health


async def kept(door: Door, health: AssetHealth) -> None:
    known = catalogue(
        "machining",
        [
            TagDefinition(number, f"laser-1/{role}", DataType.FLOAT64, unit, role, "laser-1", 60.0)
            for number, (role, unit) in enumerate(ROLES.items(), 1)
        ],
    )
    row = HealthRow(LASER, "laser-1", health.state, health.health(LIMITS), health.updated)
    await door.context.database.run(lambda tx: tags.announce(tx, "machining", known.content_hash(), known, 1))
    await door.context.database.run(lambda tx: assets.save(tx, [(row, health)]))


async def test_an_asset_tells_how_it_is_why_and_by_which_threshold(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        await kept(door, worn())
        brief = (await viewer.get("/api/v1/maintenance/assets")).json()
        sheet = (await viewer.get(f"/api/v1/maintenance/assets/{LASER}")).json()
        drawn = await viewer.get(f"/api/v1/maintenance/assets/{LASER}/trend.svg")

    assert [(each["device"], each["serial"], each["state"]) for each in brief] == [
        ("laser-1", "V-LASER-1", "watching")
    ]
    assert brief[0]["alarmed"]
    assert brief[0]["says"].startswith("health ")
    first = sheet["evidence"][0]
    assert first["evidence"]["tag"] == "vibration"
    assert first["evidence"]["contribution"] > 0.8
    assert "mm/s, normally 2" in first["says"]
    assert sheet["thresholds"]["budgeted"] is True
    assert [each["name"] for each in sheet["regimes"]] == ["processing"]
    assert {each["tag"]: each["judged"] for each in sheet["sensors"]} == {
        "spindle_load": False,
        "temperature": True,
        "vibration": True,
    }
    assert sheet["budget"]["kept"] is True
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert "vibration [mm/s]" in drawn.text
    ElementTree.fromstring(drawn.text)  # noqa: S314


async def test_learning_and_a_frozen_asset_say_so(tmp_path: Path) -> None:
    learning = AssetHealth(predecessor="0b0e6c1e-7b1b-4a57-9f0a-000000000001")
    fed(learning, healthy(15))
    learning.offered, limits = 15, LIMITS
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        learn = door.context.maintenance.settings.limits.learn
        await kept(door, learning)
        (brief,) = (await viewer.get("/api/v1/maintenance/assets")).json()
        frozen = worn()
        for number in range(61, 65):
            frozen.take(window(number, {"vibration": None, "temperature": 40.0}), FACTS, limits, SPAN)
        await kept(door, frozen)
        sheet = (await viewer.get(f"/api/v1/maintenance/assets/{LASER}")).json()

    assert brief["health"] is None
    assert (
        brief["says"]
        == f"learning what is normal, {15 / learn:.0%} done, anew after another asset at its place"
    )
    assert sheet["brief"]["state"] == "frozen"
    assert "vibration gives no good value" in sheet["brief"]["says"]
    broken = next(each for each in sheet["sensors"] if each["tag"] == "vibration")
    assert (broken["fault"], broken["judged"]) == ("gap", False)


async def test_a_false_alarm_proposes_a_threshold_that_a_supervisor_confirms(tmp_path: Path) -> None:
    health = worn()
    opening = health.episodes[0].opened
    case = Case("c1", LASER, "laser-1", "wear", CaseState.OPEN, opening, opening, 40.0, "why", ())
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.VIEWER) as viewer:
        await kept(door, health)
        database = door.context.database
        await database.run(lambda tx: cases.open_case(tx, case))
        await database.run(
            lambda tx: cases.advance(
                tx, "c1", CaseEvent.CLOSE, opening + 1, "p1", verdict=cases.Verdict.FALSE_ALARM
            )
        )
        before = (await office.get(f"/api/v1/maintenance/assets/{LASER}")).json()
        factor = before["budget"]["proposal"]["factor"]
        path = f"/api/v1/maintenance/assets/{LASER}/threshold"
        refused = await viewer.post(path, json={"factor": factor})
        confirmed = await office.post(path, json={"factor": factor})
        wrong = await office.post(path, json={"factor": 99})
        after = (await office.get(f"/api/v1/maintenance/assets/{LASER}")).json()

    assert before["budget"]["false_alarms"] == 1
    assert not before["budget"]["kept"]
    assert factor > 1.0
    assert refused.status_code == 403
    assert confirmed.status_code == 200, confirmed.text
    assert wrong.status_code == 422
    assert (after["factor"], after["confirmed_by"]) == (factor, "somebody")
    assert after["budget"]["kept"]
    assert after["brief"]["state"] == "learning"


async def test_an_unknown_asset_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        for answer in (
            await office.get("/api/v1/maintenance/assets/nothing"),
            await office.get("/api/v1/maintenance/assets/nothing/trend.svg"),
            await office.post("/api/v1/maintenance/assets/nothing/threshold", json={"factor": 2}),
            await office.post(f"/api/v1/maintenance/assets/{LASER}/threshold", json={"factor": 2}),
        ):
            assert answer.status_code == 404, answer.text
            assert "/api/v1/maintenance/assets" in answer.json()["detail"]


async def test_what_an_older_version_kept_is_learned_anew(tmp_path: Path) -> None:
    old = {"baselines": {"t": {"r": {"median": 1.0}}}, "bad": [True], "alarmed": True, "episodes": "none"}
    async with opened(tmp_path) as door, door.client() as office:
        await kept(door, worn())
        await door.context.database.run(
            lambda tx: tx.execute(ASSET_HEALTH.update().values(model=msgspec.msgpack.encode(old)))
        )
        (brief,) = (await office.get("/api/v1/maintenance/assets")).json()
    assert (brief["state"], brief["health"]) == ("learning", None)
