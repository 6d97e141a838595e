"""A case by the API: from its opening to its verdict, with a service that is started again in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.api.roles import Role
from cloud.maintenance import cases
from cloud.maintenance.case import Case
from cloud.maintenance.health.evidence import Evidence
from cloud.orders.controls import ControlEffects
from protocols.actions import Action, Event, LockReleased, MachineAccepted, MachineLocked
from protocols.calendar import zone
from protocols.lifecycles import CaseState
from tests.cloud.api.service import Door, opened

SEEN = (Evidence("laser-1/vibration", "processing", 9.4, 6.1, 2.0, 0.4),)


async def suspect(door: Door, name: str = "c1", mode: str = "wear") -> None:
    now = door.context.clock.now()
    asset = str(door.context.site.devices()["laser-1"].asset)
    case = Case(name, asset, "laser-1", mode, CaseState.OPEN, now, now, 41.0, "vibration is high", SEEN)
    assert await door.context.database.run(lambda tx: cases.open_case(tx, case))


async def step(office: httpx.AsyncClient, name: str, case: str = "c1", **said: Any) -> httpx.Response:
    return await office.post(f"/api/v1/maintenance/cases/{case}/{name}", json=said)


async def test_a_life_with_a_restart_after_every_step(tmp_path: Path) -> None:
    """Whatever was accepted is there again: kill the service wherever you like."""
    life: list[tuple[str, dict[str, Any], str]] = [
        ("acknowledge", {"note": "heard it, too"}, "acknowledged"),
        ("snooze", {"until": "2099-01-01T00:00:00Z"}, "refused"),
        ("plan", {}, "planned"),
        ("move", {"start": "2001-01-01T00:00:00Z", "note": "earlier"}, "refused"),
        ("refuse", {"note": "rush order first"}, "acknowledged"),
        ("plan", {"note": "after the rush order"}, "planned"),
        ("done", {}, "done"),
        ("verdict", {"verdict": "false-alarm", "cause": "sensor loose"}, "closed"),
    ]
    async with opened(tmp_path) as door:
        await suspect(door)
    for name, said, expected in life:
        async with opened(tmp_path) as door, door.client() as office:
            answer = await step(office, name, **said)
            if expected == "refused":
                assert answer.status_code == 422, answer.text
            else:
                assert (answer.status_code, answer.json()["state"]) == (200, expected)
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        sheet = (await viewer.get("/api/v1/maintenance/cases/c1")).json()
        (label,) = (await viewer.get("/api/v1/maintenance/labels")).json()
        (month,) = (await viewer.get("/api/v1/maintenance/precision")).json()
        with door.context.database.read() as tx:
            assert cases.replayed(tx, "c1") == cases.find(tx, "c1")
    assert [entry["event"] for entry in sheet["journal"]] == [
        *("open", "acknowledge", "plan", "refuse", "plan", "finish", "close")
    ]
    assert sheet["possible"] == []
    assert (label["failure"], label["repaired"], label["verdict"]) == (False, None, "false-alarm")
    assert (month["false_alarms"], month["precision"]) == (1, 0.0)


async def test_the_order_of_the_demo_is_planned_from_its_site_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        await suspect(door)
        before = (await office.get("/api/v1/maintenance/cases/c1")).json()
        order = (await step(office, "plan")).json()["order"]
        after = (await office.get("/api/v1/maintenance/cases/c1")).json()
        kept = await step(office, "keep", note="the fitter comes then")
        freed = await step(office, "free")
        no_reason = await step(office, "move", start=_in_six_hours(door))
        moved = await step(office, "move", start=_in_six_hours(door), note="night shift")
    assert (before["proposal"]["seconds"], after["proposal"]) == (1800, None)
    assert (order["workcell"], order["seconds"], order["bound_from"]) == ("laser-1", 1800, "span")
    assert order["parts"] == ["protective lens 37 mm"]
    assert "the plan has found no room for it yet" in kept.json()["detail"]
    assert "nobody has given it a time" in freed.json()["detail"]
    assert no_reason.status_code == 422
    assert moved.json()["order"]["fixed"] > order["earliest"]
    assert moved.json()["order"]["revision"] > order["revision"]


async def test_what_no_rule_fits_is_kept_up_as_the_service_is_set_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        await suspect(door, "c2", "sensor")
        order = (await step(office, "plan", case="c2")).json()["order"]
        usual = door.context.config.dispatch.service_seconds
    assert (order["seconds"], order["parts"]) == (usual, [])


def _in_six_hours(door: Door, more: int = 0) -> str:
    now = datetime.fromtimestamp(door.context.clock.now() / 1e6, UTC)
    return (now + timedelta(hours=6 + more)).isoformat()


async def test_only_a_supervisor_puts_it_past_its_bound(tmp_path: Path) -> None:
    """Whoever else moves it hears the latest begin, by the clock of the site."""
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.OPERATOR) as operator:
        await suspect(door)
        order = (await step(office, "plan")).json()["order"]
        late = {"start": _in_six_hours(door, 24 * 60), "note": "no fitter"}
        declined = await step(operator, "move", **late)
        moved = await step(office, "move", **late)
    place = zone(door.context.site.calendar)
    last = datetime.fromtimestamp(order["bound"] / 1e6 - order["seconds"], place)
    assert declined.status_code == 422
    assert f"the latest begin is {last:%Y-%m-%d %H:%M}" in declined.json()["detail"]
    assert moved.json()["order"]["fixed"] > order["bound"]


async def test_what_a_locked_machine_says_to_done(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        await suspect(door)
        await step(office, "plan")
        now = door.context.clock.now()
        effects, answers = ControlEffects(), []
        said: list[Event] = [
            *(MachineLocked("laser-1", "lens"), LockReleased("laser-1"), MachineAccepted("laser-1"))
        ]
        for number, event in enumerate(said):
            action = Action(f"a{number}", now + number, "laser-1", "K7", event)
            await door.context.database.run(
                lambda tx, one=action: effects.actions(tx, "machining", [one], now)  # type: ignore[misc]
            )
            answers.append(await step(office, "done"))
    assert [answer.status_code for answer in answers] == [422, 422, 200]
    assert "laser-1 is still locked: K7 releases it at laser-1 (F10)" in answers[0].json()["detail"]
    assert "production accepts it at laser-1 (F10)" in answers[1].json()["detail"]


@pytest.mark.parametrize(
    ("name", "said", "path"),
    [
        ("refuse", {}, "note"),
        ("refuse", {"note": "   "}, "note"),
        ("verdict", {"verdict": "maybe"}, "verdict"),
        ("verdict", {}, "verdict"),
        ("snooze", {"until": "2026-01-01T00:00:00"}, "until"),
        ("acknowledge", {"note": "x" * 501}, "note"),
        ("acknowledge", {"nte": "x"}, "nte"),
    ],
)
async def test_a_step_that_says_too_little_or_too_much_hears_where(
    tmp_path: Path, name: str, said: dict[str, Any], path: str
) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        await suspect(door)
        answer = await step(office, name, **said)
    assert answer.status_code == 422
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]


async def test_operators_decide_when_it_is_done_and_nothing_else(tmp_path: Path) -> None:
    """Keep, move, refuse, each with its reason; to plan, to snooze or to judge takes a supervisor."""
    async with (
        opened(tmp_path) as door,
        door.client() as office,
        door.client(Role.OPERATOR) as operator,
        door.client(Role.VIEWER) as viewer,
    ):
        await suspect(door)
        assert (await step(operator, "plan")).status_code == 403
        assert (await step(operator, "snooze", until=_in_six_hours(door))).status_code == 403
        await step(office, "plan")
        moved = await step(operator, "move", start=_in_six_hours(door), note="we run the rush order first")
        freed = await step(operator, "free")
        no_reason = await step(operator, "refuse", note=" ")
        looked = await step(viewer, "refuse", note="no")
        refused = await step(operator, "refuse", note="no fitter this week")
        judged = await step(operator, "verdict", verdict="true")
        sheet = (await viewer.get("/api/v1/maintenance/cases/c1")).json()
    assert moved.json()["order"]["fixed"] is not None
    assert freed.json()["order"]["fixed"] is None
    assert (no_reason.status_code, looked.status_code, judged.status_code) == (422, 403, 403)
    assert refused.json()["state"] == "acknowledged"
    said = [(entry["event"], entry["note"]) for entry in sheet["journal"]]
    assert ("move", "we run the rush order first") in said
    assert ("refuse", "no fitter this week") in said
