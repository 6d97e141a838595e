"""The API: who may ask, what an impossible order hears, and that what comes is what OpenAPI promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cloud.api.roles import Role
from cloud.ledger import reading
from cloud.ledger.tables import COUNTERS, edge
from cloud.maintenance import cases
from cloud.maintenance.cases import Case
from cloud.orders import exceptions, leases
from cloud.store.database import insert_into
from protocols.lifecycles import CaseState
from tests.cloud.api.service import opened

ORDER: dict[str, Any] = {
    "customer": "Somebody",
    "due": "2099-01-01T12:00:00Z",
    "lines": [{"product": "cabinet", "quantity": 2, "parameters": {"colour": "RAL 5010"}}],
}
LISTS = [
    *("/summary", "/equipment", "/edges", "/machines", "/stops", "/notices", "/quarantine", "/health/assets"),
    *(
        "/maintenance/cases",
        "/maintenance/precision",
        "/maintenance/labels",
        "/tags",
        "/products",
        "/orders",
        "/jobs",
        "/runs",
        "/runs/unassigned",
        "/andon",
    ),
    *("/exceptions", "/schedule", "/schedule/progress", "/schedule/history", "/schedule/scenarios"),
    *("/schedule/decisions", "/schedule/outlook", "/alarms", "/alarms/history"),
    *("/quality/charts", "/quality/nonconformances", "/maintenance/waveforms"),
]


async def test_nothing_is_shown_without_a_log_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(None) as stranger:
        answers = [await stranger.get(f"/api/v1{path}") for path in LISTS]

    for answer in answers:
        assert answer.status_code == 401, answer.url
        assert answer.headers["content-type"] == "application/problem+json"
        assert "/api/v1/session" in answer.json()["detail"]


async def test_everything_can_be_read_by_a_viewer(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        for path in LISTS:
            answer = await viewer.get(f"/api/v1{path}")
            assert answer.status_code == 200, (path, answer.text)


async def test_a_viewer_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        for path in (
            *("/orders", "/orders/x/cancel", "/maintenance/cases/x/acknowledge", "/exceptions/1/settle"),
            *("/schedule/scenarios", "/schedule/scenarios/x/accept", "/schedule/decisions"),
            *("/schedule/promise", "/quality/charts/1/limits", "/quality/nonconformances"),
            *("/quality/nonconformances/1/decisions", "/maintenance/waveforms/questions"),
        ):
            answer = await viewer.post(f"/api/v1{path}", json=ORDER if path == "/orders" else {})
            assert answer.status_code == 403, path
            assert "ask a supervisor" in answer.json()["detail"]
        for path in ("/schedule/scenarios/x", "/schedule/decisions/1"):
            assert (await viewer.delete(f"/api/v1{path}")).status_code == 403, path


async def test_an_order_becomes_jobs_with_their_operations(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        made = await office.post("/api/v1/orders", json=ORDER)
        jobs = (await office.get("/api/v1/jobs", params={"order": made.json()["id"]})).json()
        orders = (await office.get("/api/v1/orders")).json()

    assert made.status_code == 201
    assert [job["quantity"] for job in jobs] == ["2"]
    assert [operation["kind"] for operation in jobs[0]["operations"]][:2] == ["laser", "brake"]
    assert orders[0]["state"] == "released"
    assert orders[0]["lines"][0]["variant"]["colour"] == "RAL 5010"


async def test_an_impossible_order_hears_every_reason_at_once(tmp_path: Path) -> None:
    asked = {
        "due": "2001-01-01T12:00:00Z",
        "priority": 11,
        "lines": [
            {"product": "cabnet", "quantity": 1},
            {"product": "cabinet", "quantity": -3, "parameters": {"colour": "RAL 0000", "widht": 600}},
        ],
    }
    async with opened(tmp_path) as door, door.client() as office:
        answer = await office.post("/api/v1/orders", json=asked)
        orders = (await office.get("/api/v1/orders")).json()

    problem = answer.json()
    found = {item["path"]: item["message"] for item in problem["problems"]}
    assert (answer.status_code, orders) == (422, [])
    assert "in the past" in found["due"]
    assert "did you mean cabinet?" in found["lines.0.product"]
    assert "-3 is not more than 0" in found["lines.1.quantity"]
    assert any("RAL 0000" in message for message in found.values())
    assert any("width" in message for message in found.values())
    assert all(path in problem["detail"] for path in found)


async def test_cancelling_twice_is_harmless_and_an_unknown_order_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        made = (await office.post("/api/v1/orders", json=ORDER)).json()["id"]
        for _ in range(2):
            assert (await office.post(f"/api/v1/orders/{made}/cancel", json={})).status_code == 204
        unknown = await office.post("/api/v1/orders/26-9999/cancel", json={"reason": "test"})

    assert unknown.status_code == 404
    assert "26-9999" in unknown.json()["detail"]


async def test_another_due_date_and_what_is_against_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        made = (await office.post("/api/v1/orders", json=ORDER)).json()["id"]
        sooner = {"due": "2099-01-01T12:00:00+08:00"}
        done = await office.patch(f"/api/v1/orders/{made}", json=sooner)
        orders = (await office.get("/api/v1/orders")).json()
        past = await office.patch(f"/api/v1/orders/{made}", json={"due": "2001-01-01T12:00:00Z"})
        unknown = await office.patch("/api/v1/orders/26-9999", json=sooner)
        await office.post(f"/api/v1/orders/{made}/cancel", json={})
        late = await office.patch(f"/api/v1/orders/{made}", json=sooner)

    assert (done.status_code, orders[0]["promised"]) == (204, 4_070_923_200_000_000)
    assert (past.status_code, past.json()["problems"][0]["path"]) == (422, "due")
    assert (unknown.status_code, late.status_code) == (404, 409)


async def test_a_case_says_what_is_possible(tmp_path: Path) -> None:
    case = Case("c1", "a", "laser-1", "wear", CaseState.OPEN, 1, 1, 40.0, "why", ())
    async with opened(tmp_path) as door, door.client() as office:
        await door.context.database.run(lambda tx: cases.open_case(tx, case))
        done = await office.post("/api/v1/maintenance/cases/c1/acknowledge", json={})
        wrong = await office.post("/api/v1/maintenance/cases/c1/done", json={})
        nonsense = await office.post("/api/v1/maintenance/cases/c1/explode", json={})
        unknown = await office.post("/api/v1/maintenance/cases/c9/plan", json={})

    assert (done.json()["state"], done.json()["changed_by"]) == ("acknowledged", "somebody")
    assert wrong.status_code == 409
    assert "possible: snooze, plan, start, close" in wrong.json()["detail"]
    assert (nonsense.status_code, unknown.status_code) == (404, 404)
    assert 'there is no case "c9"' in unknown.json()["detail"]


async def test_a_person_takes_an_operation_away_from_the_edge_that_holds_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.VIEWER) as viewer:
        made = (await office.post("/api/v1/orders", json=ORDER)).json()["id"]
        jobs = (await office.get("/api/v1/jobs", params={"order": made})).json()
        held = jobs[0]["operations"][0]["id"]
        path = f"/api/v1/operations/{held}/override"
        free = await office.post(path)
        await door.context.database.run(
            lambda tx: leases.offer(tx, "machining", 1, [(held, "laser-1", "")], now=1)
        )
        looking = await viewer.post(path)
        taken = await office.post(path)
        unknown = await office.post("/api/v1/operations/nothing/override")
        with door.context.database.read() as tx:
            left = leases.all_leases(tx)[held]

    assert [answer.status_code for answer in (free, looking, taken, unknown)] == [409, 403, 204, 404]
    assert left.returned
    assert held in free.json()["detail"]


async def test_who_settled_an_entry_of_the_inbox_is_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        entry = await door.context.database.run(
            lambda tx: exceptions.record(tx, ts=1, kind="late", text="after the order was closed")
        )
        settled = await office.post(f"/api/v1/exceptions/{entry}/settle")
        again = await office.post(f"/api/v1/exceptions/{entry}/settle")
        (row,) = (await office.get("/api/v1/exceptions", params={"open_only": False})).json()

    assert (settled.status_code, again.status_code) == (204, 404)
    assert (row["state"], row["settled_by"]) == ("settled", "somebody")
    assert row["settled"] > row["ts"]


async def test_a_large_body_is_refused_unread(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        answer = await office.post("/api/v1/orders", content=b"x" * 300_000)

    assert answer.status_code == 413
    assert "the limit is 262144" in answer.json()["detail"]


async def test_history_of_an_unknown_tag_says_where_tags_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        answer = await office.get("/api/v1/history/99", params={"start": 0, "end": 1})

    assert answer.status_code == 404
    assert "GET /api/v1/tags" in answer.json()["detail"]


async def test_health_needs_no_log_in_and_names_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(None) as stranger:
        answer = (await stranger.get("/health")).json()

    assert answer["samples"] == {"ledgered": 0, "duplicated": 0, "dropped": 0}
    assert "supervisor" not in str(answer)


async def test_health_counts_the_whole_ledger_once_a_minute_and_is_exact_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    whole = reading.recount

    def recount(reader: Connection) -> reading.Counters:
        counts.append(1)
        return whole(reader)

    monkeypatch.setattr(reading, "recount", recount)
    async with opened(tmp_path) as door, door.client(None) as stranger:
        found = []
        for samples in (3, 7):
            values = dict.fromkeys(COUNTERS, 0) | {"samples": samples}
            await door.context.database.run(
                lambda tx, values=values: tx.execute(  # type: ignore[misc]
                    insert_into(tx, edge)
                    .values(id="coating", first_seen=1, last_seen=1, jobs_version=0, configs={}, **values)
                    .on_conflict_do_update(index_elements=["id"], set_=values)
                )
            )
            found.append((await stranger.get("/health")).json()["samples"])

    assert found == [{"ledgered": n, "duplicated": 3, "dropped": 0} for n in (3, 7)]
    assert len(counts) == 1


async def test_openapi_describes_every_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(None) as stranger:
        document = (await stranger.get("/openapi.json")).json()

    schemas = document["components"]["schemas"]
    assert {"Problem", "Order", "Job", "Case", "TagValue", "Health"} <= set(schemas)
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            good = [code for code in operation["responses"] if code.startswith("2")]
            assert good, (verb, path)
            assert operation.get("description") or operation.get("summary"), (verb, path)
    assert "x-kind" not in str(document)


async def test_no_route_reaches_a_machine_or_a_lock(tmp_path: Path) -> None:
    """Whoever has the API has the office, not the floor: a new route that changes something is looked at."""
    async with opened(tmp_path) as door, door.client(None) as stranger:
        document = (await stranger.get("/openapi.json")).json()
    changing = [path for path, methods in document["paths"].items() if methods.keys() - {"get"}]
    assert "/api/v1/orders" in changing
    words = ("machine", "device", "lock", "write", "command", "tag", "call", "station")
    assert [path for path in changing if any(word in path for word in words)] == []


async def test_what_comes_is_what_openapi_promises(tmp_path: Path) -> None:
    """Every GET of the document, called as it says, answers in the declared shape."""
    import jsonschema_rs

    async with opened(tmp_path) as door, door.client() as office:
        await office.post("/api/v1/orders", json=ORDER)
        document = (await office.get("/openapi.json")).json()
        checked = 0
        for path, operations in document["paths"].items():
            if "get" not in operations or "{" in path:
                continue
            answer = await office.get(path)
            schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            whole = {**schema, "components": document["components"]}
            jsonschema_rs.validate(whole, answer.json())
            checked += 1
    assert checked >= len(LISTS)
