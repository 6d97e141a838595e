"""The page's own door for model files: whose browser may use it, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from cloud.api.roles import Role
from cloud.web import login
from cloud.web.maintenance import model_upload
from protocols.prognostics.deployment import MAX_FILE
from tests.cloud.api.service import Door, opened
from tests.cloud.api.test_models import NAMES, tagged
from tests.cloud.maintenance.rul import signed

HEAD = {"Content-Type": "application/json"}


async def send(door: Door, role: Role | None, data: bytes, scope: str = "laser-1") -> httpx.Response:
    cookies = {login.COOKIE: door.accounts.token("somebody", role)[0]} if role is not None else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(door.app), base_url="http://onelot.test", cookies=cookies
    ) as browser:
        return await browser.post(model_upload.PATH, params={"scope": scope}, content=data, headers=HEAD)


async def test_a_supervisors_browser_brings_a_model_in(tmp_path: Path) -> None:
    altered = bytearray(signed.data(1))
    altered[altered.index(b"vibration")] ^= 1
    keys = [str(signed.public_key(tmp_path))]
    async with opened(tmp_path, trusted_keys=keys) as door:
        door.app.include_router(model_upload.router)
        await tagged(door, *NAMES)
        changed = await send(door, Role.SUPERVISOR, bytes(altered))
        elsewhere = await send(door, Role.SUPERVISOR, signed.data(1), "laser-9")
        taken = await send(door, Role.SUPERVISOR, signed.data(1))
        async with door.client() as office:
            (listed,) = (await office.get("/api/v1/maintenance/models")).json()
    assert changed.status_code == 422
    assert "changed after it was written" in changed.json()["detail"]
    assert elsewhere.status_code == 422
    assert "laser-9" in elsewhere.json()["detail"]
    assert (taken.status_code, taken.json()["state"]) == (200, "candidate")
    assert listed["version"]["id"] == taken.json()["id"]


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.VIEWER, 403), (Role.OPERATOR, 403)])
async def test_nobody_else_does(tmp_path: Path, role: Role | None, status: int) -> None:
    async with opened(tmp_path) as door:
        door.app.include_router(model_upload.router)
        assert (await send(door, role, b"{}")).status_code == status


async def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        door.app.include_router(model_upload.router)
        refused = await send(door, Role.SUPERVISOR, bytes(MAX_FILE + 1))
    assert refused.status_code == 413
    assert f"the limit is {MAX_FILE}" in refused.json()["detail"]
