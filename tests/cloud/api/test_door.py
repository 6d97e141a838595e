"""The door itself: what does not exist, what is too much, who left, and forms of other sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from cloud.api.accounts import FIRST
from cloud.api.rates import Rates
from cloud.api.roles import Role
from cloud.web import login
from protocols.clock import Clock
from tests.cloud.api.service import opened


async def test_unknown_paths_and_methods_hear_a_problem(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        unknown = await office.get("/api/v1/ordres")
        wrong = await office.put("/api/v1/orders", json={})

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.headers["content-type"] == wrong.headers["content-type"] == "application/problem+json"
    assert "/api/v1/ordres" in unknown.json()["detail"]
    assert wrong.headers["allow"] == "GET, POST"


async def test_a_body_that_is_no_json_hears_where_and_what_to_send(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        json = {"Content-Type": "application/json"}
        broken = await office.post("/api/v1/orders", content=b"{due", headers=json)
        form = await office.post("/api/v1/orders", data={"due": "tomorrow"})
        chunked = await office.post("/api/v1/orders", content=_parts())

    assert (broken.status_code, form.status_code, chunked.status_code) == (422, 415, 411)
    assert "not JSON at character 1" in broken.json()["detail"]
    assert "application/json" in form.json()["detail"]


async def _parts() -> AsyncIterator[bytes]:
    yield b"{}"


async def test_a_misspelt_query_parameter_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        wrong = await office.get("/api/v1/orders", params={"limt": 5})
        backwards = await office.get("/api/v1/history/1", params={"start": 5, "end": 1})

    assert wrong.status_code == 422
    assert "did you mean limit?" in wrong.json()["detail"]
    assert (backwards.status_code, "before start" in backwards.json()["detail"]) == (422, True)


def test_an_address_gets_its_burst_then_its_rate() -> None:
    now = [0]
    counted = Rates(Clock(lambda: now[0], lambda: now[0]), per_second=2.0, burst=3)

    assert [counted.wait("a") for _ in range(3)] == [0.0] * 3
    assert counted.wait("a") == pytest.approx(0.5)
    assert counted.wait("b") == 0.0
    now[0] += 600_000_000
    assert counted.wait("a") == 0.0
    assert counted.wait("a") > 0


async def test_who_asks_too_often_is_told_how_long_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.api.app.Rates", partial(Rates, per_second=0.001, burst=2))
    async with opened(tmp_path) as door, door.client() as office:
        answers = [await office.get("/health") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["retry-after"]) > 100


async def test_a_token_ends_with_its_log_out_and_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.VIEWER) as viewer:
        left = await office.delete("/api/v1/session")
        after = await office.get("/api/v1/orders")
        other = await viewer.get("/api/v1/orders")

    assert (left.status_code, after.status_code, other.status_code) == (204, 401, 200)


async def test_too_many_wrong_passwords_hear_when_to_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(None) as stranger:
        door.accounts.prepare()
        tries = [
            await stranger.post("/api/v1/session", json={"user": FIRST, "password": "guess"})
            for _ in range(6)
        ]

    assert [answer.status_code for answer in tries] == [401] * 5 + [429]
    assert 1 <= int(tries[-1].headers["retry-after"]) <= 30


async def test_the_log_in_form_of_another_site_is_refused_and_the_cookie_is_strict(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(None) as browser:
        door.app.include_router(login.router)
        file = door.accounts.prepare()
        assert file is not None
        password = file.read_text().splitlines()[1].removeprefix("password: ")
        form = {"user": FIRST, "password": password}
        foreign = await browser.post("/login", data=form, headers={"Origin": "http://elsewhere.test"})
        own = await browser.post("/login", data=form, headers={"Origin": "http://onelot.test"})
        cookie = own.headers["set-cookie"]
        inside = await browser.get("/logout")
        out = await browser.post("/logout")

    assert (foreign.status_code, "set-cookie" in foreign.headers) == (403, False)
    assert own.status_code == 303
    assert all(flag in cookie.lower() for flag in ("httponly", "samesite=strict", "path=/"))
    assert inside.status_code in (404, 405)
    assert out.headers["location"] == "/login"
