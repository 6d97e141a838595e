"""Quality through the API: from measured flanges to frozen limits, from a hold to a disposition."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cloud.api.roles import Role
from cloud.quality.effects import QualityEffects
from protocols import actions as act
from tests.cloud.api.service import Door, opened

ORDER: dict[str, Any] = {
    "customer": "Somebody",
    "due": "2099-01-01T12:00:00Z",
    "lines": [{"product": "cabinet", "quantity": 2, "parameters": {"colour": "RAL 5010"}}],
}
FLANGE, DOOR = 2, 3
"""Numbers of the measuring steps of the demo's bending operation."""


async def measured(door: Door, operation: str, *values: float, step: int = FLANGE) -> None:
    """Ledger measurements at the press brake."""
    now = door.context.clock.now()
    actions = [
        act.Action(
            f"m{now}-{step}-{n}", now + n, "brake-1", "op-7", act.StepDone("r", operation, step, f"{v:g}")
        )
        for n, v in enumerate(values)
    ]

    def write(tx: Connection) -> None:
        QualityEffects().actions(tx, "machining", actions, now)

    await door.context.database.run(write)


async def bend(door: Door) -> str:
    """The bending operation of a new order."""
    async with door.client() as office:
        made = (await office.post("/api/v1/orders", json=ORDER)).json()["id"]
        (job,) = (await office.get("/api/v1/jobs", params={"order": made})).json()
    return str(next(each["id"] for each in job["operations"] if each["kind"] == "brake"))


async def test_from_measurements_to_frozen_limits(tmp_path: Path) -> None:
    rng = random.Random(2)
    async with opened(tmp_path) as door, door.client() as office:
        operation = await bend(door)
        await measured(door, operation, *[round(rng.gauss(25, 0.05), 3) for _ in range(24)])
        (listed,) = (await office.get("/api/v1/quality/charts")).json()
        at = f"/api/v1/quality/charts/{listed['id']}"
        sheet = (await office.get(at)).json()
        frozen = await office.post(f"{at}/limits", json={"reason": "24 points, none signals"})
        nothing = await office.post(f"{at}/limits", json={"reason": "  "})
        after = (await office.get(at)).json()
        capable = (await office.get(f"{at}/capability")).json()
        picture = await office.get(f"{at}/picture", params={"chinese": True})

    assert (listed["key"], listed["points"], listed["ready"]) == ("cabinet/bend/flange@brake-1", 24, True)
    assert [point["point"]["number"] for point in sheet["points"]] == [*range(1, 25)]
    assert sheet["points"][0]["operation"] == operation
    assert 150 < sheet["false_alarm_every"] < 170
    assert (frozen.status_code, frozen.json()["version"], frozen.json()["provisional"]) == (201, 1, False)
    assert nothing.status_code == 422
    assert (after["chart"]["version"], after["limits"][0]["reason"]) == (1, "24 points, none signals")
    assert after["limits"][0]["actor"] == "somebody"
    assert capable["cpk"]["low"] < capable["cpk"]["value"] < capable["cpk"]["high"]
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "折边" in picture.text


async def test_doors_of_all_widths_have_one_capability(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        operation = await bend(door)
        await measured(door, operation, 596.1, 595.9, 596.0, 596.05, step=DOOR)
        (listed,) = (await office.get("/api/v1/quality/charts")).json()
        capable = (await office.get(f"/api/v1/quality/charts/{listed['id']}/capability")).json()
        early = await office.post(f"/api/v1/quality/charts/{listed['id']}/limits", json={"reason": "x"})

    assert listed["spec"]["kind"] == "dnom"
    assert abs(capable["mean"]) < 0.1
    assert (early.status_code, early.json()["detail"][:25]) == (409, "4 points are too few for ")


async def test_from_a_report_to_its_disposition(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.VIEWER) as viewer:
        operation = await bend(door)
        unknown = await office.post(
            "/api/v1/quality/nonconformances", json={"operation": "x", "text": "dent"}
        )
        made = await office.post(
            "/api/v1/quality/nonconformances",
            json={"operation": operation, "text": "dent", "text_zh": "凹痕"},
        )
        at = f"/api/v1/quality/nonconformances/{made.json()['id']}"
        decided = f"{at}/decisions"
        without = await office.post(decided, json={"event": "dispose", "reason": "x"})
        refused = await viewer.post(
            decided, json={"event": "dispose", "disposition": "use as is", "reason": "x"}
        )
        rework = await office.post(
            decided, json={"event": "dispose", "disposition": "rework", "reason": "straighten"}
        )
        twice = await office.post(
            decided, json={"event": "dispose", "disposition": "scrap", "reason": "changed my mind"}
        )
        waiting = (await viewer.get(at)).json()
        closed = await office.post(decided, json={"event": "close", "reason": "straightened"})
        left = (await viewer.get("/api/v1/quality/nonconformances", params={"open_only": True})).json()

    assert (unknown.status_code, "/api/v1/jobs" in unknown.json()["detail"]) == (404, True)
    assert (made.status_code, made.json()["holds"], made.json()["text_zh"]) == (201, True, "凹痕")
    assert (without.status_code, "use as is, rework" in without.json()["detail"]) == (422, True)
    assert refused.status_code == 403
    assert (rework.json()["state"], rework.json()["holds"]) == ("disposed", True)
    assert twice.status_code == 409
    assert waiting["possible"] == ["close", "reopen"]
    assert [each["event"] for each in waiting["history"]] == ["open", "dispose"]
    assert (closed.json()["state"], closed.json()["holds"]) == ("closed", False)
    assert left == []


async def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        for path in ("/charts/7", "/charts/7/picture", "/charts/7/capability", "/nonconformances/7"):
            answer = await office.get(f"/api/v1/quality{path}")
            assert (answer.status_code, '"7"' in answer.json()["detail"]) == (404, True), path
