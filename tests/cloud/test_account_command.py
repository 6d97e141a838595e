"""``onelot accounts`` against a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner, Result

from cloud.account_command import app
from tests.cloud.maintenance.command.test_model_commands import served


async def run(folder: Path, url: str, *words: str, login: str = "data/first-login.txt") -> Result:
    whole = [*words, "--server", url, "--login", str(folder / login)]
    return await asyncio.to_thread(CliRunner().invoke, app, whole)


def credential(result: Result) -> str:
    """Behind what the service itself logs, which runs in the same process here."""
    return result.stdout[result.stdout.index("user: ") :]


async def test_accounts_are_made_listed_changed_and_removed(tmp_path: Path) -> None:
    """What `add` writes is a log-in file."""
    async with served(tmp_path) as url:
        made = await run(tmp_path, url, "add", "op-7", "--role", "operator")
        (tmp_path / "op-7.txt").write_text(credential(made))
        denied = await run(tmp_path, url, "list", login="op-7.txt")
        listed = await run(tmp_path, url, "list")
        changed = await run(tmp_path, url, "role", "op-7", "--role", "viewer")
        renewed = await run(tmp_path, url, "password", "op-7")
        old = await run(tmp_path, url, "list", login="op-7.txt")
        last = await run(tmp_path, url, "remove", "supervisor")
        removed = await run(tmp_path, url, "remove", "op-7")
        unknown = await run(tmp_path, url, "remove", "op-7")
        wrong = await run(tmp_path, url, "add", "op-8", "--role", "boss")
    assert credential(made).startswith("user: op-7\npassword: ")
    assert (denied.exit_code, denied.stderr) == (
        2,
        "op-7 may look but not change anything: ask a supervisor\n",
    )
    assert "op-7        operator    since " in listed.stdout
    assert changed.stdout.endswith("op-7 is viewer now\n")
    assert credential(renewed).startswith("user: op-7\npassword: ")
    assert credential(renewed) != credential(made)
    assert old.stderr == "user or password is wrong\n"
    assert "the only supervisor" in last.stderr
    assert removed.stdout.endswith("op-7 is removed\n")
    assert (unknown.exit_code, "there is no account" in unknown.stderr) == (2, True)
    assert "'viewer', 'operator', 'supervisor'" in wrong.stderr.replace("\n", " ")
