"""The documents say what is so: commands and options exist, examples are valid, links lead somewhere."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from cloud.config import CloudConfig
from edge.commission.main import GROUPS
from edge.config import EdgeConfig
from protocols.documents import loads

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_HELP: dict[tuple[str, ...], str] = {}
QUICK = ("driver list", "driver show", "driver check", "driver schema", "driver trust list", "quality")
"""Commands that end by themselves: they are run as they stand, in a folder with the integrator's files."""


def commands() -> list[tuple[str, str]]:
    """Every ``onelot …`` line of a console block, with the page it stands on."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                if line.startswith("$ onelot "):
                    found.append((page.name, line[2:]))
    return found


def onelot(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the front door."""
    return subprocess.run(
        [sys.executable, "-m", "onelot", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def lay_out(folder: Path) -> None:
    """The folder of an integrator who has followed the pages this far."""
    page = (ROOT / "docs" / "integrator.md").read_text("utf-8")
    files = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL))
    quality = (ROOT / "docs" / "quality.md").read_text("utf-8")
    files |= dict(re.findall(r"`(\S+\.csv)`[^\n]*:\n\n```csv\n(.*?)```", quality, re.DOTALL))
    files["press.yaml"] = (ROOT / "firmware_configs/profiles/example/press.yaml").read_text("utf-8")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def help_of(*names: str) -> str:
    """What ``--help`` says of a sub-command; asked once."""
    if names not in _HELP:
        answer = onelot(*names, "--help")
        assert answer.returncode == 0, f"onelot {' '.join(names)} does not exist: {answer.stderr}"
        _HELP[names] = answer.stdout
    return _HELP[names]


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_and_option_of_the_documents_exists(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    depth = (
        1
        if words[0] not in ("driver", "dispatch", "quality", "maintenance", "accounts")
        else 3
        if words[1] in GROUPS or words[:2] in (["maintenance", "bench"], ["maintenance", "models"])
        else 2
    )
    names = words[:depth]
    text = help_of(*names)
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert option in text, f"{page}: {line}: no option {option}"


@pytest.mark.parametrize(
    ("page", "line"),
    # What asks a machine is run where there is one: tests/edge/commission/test_documented.py.
    [c for c in commands() if c[1].removeprefix("onelot ").startswith(QUICK) and "--live" not in c[1]],
)
def test_quick_commands_of_the_documents_run(page: str, line: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    answer = onelot(*shlex.split(line.partition(" > ")[0], comments=True)[1:], cwd=tmp_path)

    assert answer.returncode == 0, f"{page}: {line}\n{answer.stdout}{answer.stderr}"
    assert answer.stdout.strip()


@pytest.mark.parametrize(("name", "model"), [("edge.yaml", EdgeConfig), ("cloud.yaml", CloudConfig)])
def test_example_configurations_are_valid(name: str, model: type[BaseModel]) -> None:
    text = (ROOT / "docs/site.md").read_text("utf-8")
    blocks = re.findall(rf"```yaml\n(# {re.escape(name)}\n.*?)```", text, re.DOTALL)

    assert len(blocks) == 1
    loads(blocks[0], model, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_of_the_documents_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`?make ([a-z]+)", page.read_text("utf-8")):
        if target in ("sets", "it", "a", "the", "sure"):
            continue
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 180


async def test_the_integrators_pair_of_commands_reads_live_values() -> None:
    """``driver simulate`` and ``driver read`` of the integrator's page, one against the other."""
    from tests.servers import free_port

    port = free_port()
    command = [sys.executable, "-m", "onelot", "driver"]
    server = await asyncio.create_subprocess_exec(
        *command, "simulate", "virtual/brake", "--port", str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while True:
                reading = await asyncio.create_subprocess_exec(
                    *command,
                    *("read", f"modbus://127.0.0.1:{port}", "--profile", "virtual/brake"),
                    cwd=ROOT,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )
                out, _ = await reading.communicate()
                if reading.returncode == 0:
                    break
                await asyncio.sleep(0.2)
    finally:
        server.terminate()
        await server.communicate()
    assert "temperature" in out.decode()
