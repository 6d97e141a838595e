"""Accounts through the API: who may make them, what they may do then, and that they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.api.roles import Role
from tests.cloud.api.service import opened

ACCOUNTS = "/api/v1/accounts"


async def test_an_operator_is_made_works_and_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, door.client(None) as person:
        door.accounts.prepare()
        made = await office.post(ACCOUNTS, json={"name": "op-7", "role": "operator"})
        twice = await office.post(ACCOUNTS, json={"name": "op-7", "role": "viewer"})
        session = (await person.post("/api/v1/session", json=made.json())).json()
        person.headers["Authorization"] = f"Bearer {session['token']}"
        looked = await person.get("/api/v1/machines")
        made_by_operator = await person.post(ACCOUNTS, json={"name": "x", "role": "supervisor"})
        listed = (await office.get(ACCOUNTS)).json()
        await office.put(f"{ACCOUNTS}/op-7/role", json={"role": "viewer"})
        demoted = await person.get("/api/v1/machines")
        renewed = (await office.post(f"{ACCOUNTS}/op-7/password")).json()
        old = await person.post("/api/v1/session", json=made.json())
        again = (await person.post("/api/v1/session", json=renewed)).json()
        person.headers["Authorization"] = f"Bearer {again['token']}"
        gone = await office.delete(f"{ACCOUNTS}/op-7")
        after = await person.get("/api/v1/machines")
        unknown = [
            await office.delete(f"{ACCOUNTS}/op-7"),
            await office.put(f"{ACCOUNTS}/op-7/role", json={"role": "viewer"}),
            await office.post(f"{ACCOUNTS}/op-7/password"),
        ]
    assert (made.status_code, made.json()["user"]) == (200, "op-7")
    assert len(made.json()["password"]) >= 16
    assert (twice.status_code, twice.json()["detail"]) == (409, "there is an account op-7 already")
    assert (session["role"], looked.status_code, made_by_operator.status_code) == ("operator", 200, 403)
    assert [(one["name"], one["role"]) for one in listed] == [
        ("op-7", "operator"),
        ("supervisor", "supervisor"),
    ]
    assert (demoted.status_code, old.status_code, again["role"]) == (401, 401, "viewer")
    assert (gone.status_code, after.status_code) == (204, 401)
    assert [answer.status_code for answer in unknown] == [404, 404, 404]
    assert 'there is no account "op-7"' in unknown[0].json()["detail"]


async def test_a_supervisor_is_always_left(tmp_path: Path) -> None:
    """Or nobody could make accounts any more."""
    async with opened(tmp_path) as door, door.client() as office:
        door.accounts.prepare()
        removed = await office.delete(f"{ACCOUNTS}/supervisor")
        demoted = await office.put(f"{ACCOUNTS}/supervisor/role", json={"role": "viewer"})
        await office.post(ACCOUNTS, json={"name": "deputy", "role": "supervisor"})
        now_removed = await office.delete(f"{ACCOUNTS}/supervisor")
    assert [answer.status_code for answer in (removed, demoted)] == [409, 409]
    assert "supervisor is the only supervisor: make another one first" in removed.json()["detail"]
    assert now_removed.status_code == 204


@pytest.mark.parametrize("name", ["", "Anna", "a b", "x" * 33, "a/b"])
async def test_a_name_is_short_and_plain(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        answer = await office.post(ACCOUNTS, json={"name": name, "role": "operator"})
    assert answer.status_code == 422
    assert [problem["path"] for problem in answer.json()["problems"]] == ["name"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, None])
async def test_only_supervisors_see_and_make_accounts(tmp_path: Path, role: Role | None) -> None:
    async with opened(tmp_path) as door, door.client(role) as somebody:
        answers = [
            await somebody.get(ACCOUNTS),
            await somebody.post(ACCOUNTS, json={"name": "x", "role": "supervisor"}),
            await somebody.post(f"{ACCOUNTS}/supervisor/password"),
            await somebody.delete(f"{ACCOUNTS}/supervisor"),
        ]
    assert {answer.status_code for answer in answers} == {401 if role is None else 403}
