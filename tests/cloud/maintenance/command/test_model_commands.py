"""``onelot maintenance models`` against a running service."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from typer.testing import CliRunner, Result

from cloud.maintenance.command.main import app
from tests.cloud.api.service import opened
from tests.cloud.api.test_models import NAMES, tagged
from tests.cloud.maintenance.rul import signed
from tests.servers import free_port


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """A service on loopback whose laser has told its tags; its address."""
    keys = [str(signed.public_key(folder))]
    async with opened(folder, trusted_keys=keys) as door:
        await tagged(door, *NAMES)
        await asyncio.to_thread(door.accounts.prepare)
        port = free_port()
        server = _Server(uvicorn.Config(door.app, port=port, log_level="error", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started:  # noqa: ASYNC110 - it does not tell
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving


async def run(folder: Path, url: str, *words: str) -> Result:
    login = folder / "data" / "first-login.txt"
    whole = ["models", *words, "--server", url, "--login", str(login)]
    return await asyncio.to_thread(CliRunner().invoke, app, whole)


async def test_a_model_is_brought_in_tried_used_and_gone_back_from(tmp_path: Path) -> None:
    files = {}
    for seed in (1, 2):
        files[seed] = tmp_path / f"model-{seed}.json"
        files[seed].write_bytes(signed.data(seed))
    async with served(tmp_path) as url:
        none = await run(tmp_path, url, "list")
        ids = []
        for file in files.values():
            made = await run(tmp_path, url, "add", str(file), "--for", "laser-1", "--json")
            assert made.exit_code == 0, made.output
            ids.append(json.loads(made.stdout)["id"])
            await run(tmp_path, url, "shadow", ids[-1])
            early = await run(tmp_path, url, "activate", ids[-1][:8])
            done = await run(tmp_path, url, "activate", ids[-1], "--reason", "tried on files")
            assert done.exit_code == 0, done.output
        back = await run(tmp_path, url, "roll-back", ids[1], "--reason", "it cries wolf")
        listed = await run(tmp_path, url, "list")
        gone = await run(tmp_path, url, "retire", ids[0], "--reason", "summer")
        unknown = await run(tmp_path, url, "shadow", "nine")

    assert "no models" in none.stdout
    assert early.exit_code == 2
    assert "0 scores in shadow, 100 are wanted" in early.stderr
    assert f"{ids[0]} (spindle) is active" in back.stdout
    assert [line.split()[:4] for line in listed.stdout.splitlines()[1:]] == [
        [ids[1][:8], "spindle", "laser-1", "retired"],
        [ids[0][:8], "spindle", "laser-1", "active"],
    ]
    assert "is retired" in gone.stdout
    assert '"nine" names no models: there are' in unknown.stderr


async def test_what_the_service_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    altered = tmp_path / "altered.json"
    altered.write_bytes(signed.data().replace(b'"unit":"h"', b'"unit":"d"'))
    (tmp_path / "no-login.txt").write_text("nothing\n")
    async with served(tmp_path) as url:
        refused = await run(tmp_path, url, "add", str(altered), "--for", "laser-1")
        nobody = await run(tmp_path, f"http://127.0.0.1:{free_port()}", "list")
        words = ["models", "list", "--server", url, "--login", str(tmp_path / "no-login.txt")]
        stranger = await asyncio.to_thread(CliRunner().invoke, app, words)

    assert refused.exit_code == 2
    assert "changed after it was written" in refused.stderr
    assert "is the service running there?" in nobody.stderr
    assert "has no lines `user: …`" in stranger.stderr
