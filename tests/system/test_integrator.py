"""``docs/integrator.md``, word by word: its files in an empty folder, its commands as typed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.system.processes import ROOT, onelot

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PAGE = (ROOT / "docs" / "integrator.md").read_text("utf-8")
FILES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


def lay_out(folder: Path, port: int) -> None:
    """The page's files, with its simulator on a free port."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("15020", str(port)), "utf-8")


def run(folder: Path, command: str) -> str:
    """The output of a command that must succeed."""
    words = command.removeprefix("onelot ").split()
    done = subprocess.run(onelot(*words), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_has_the_files_it_speaks_of() -> None:
    assert list(FILES) == ["profiles/acme/press.yaml", "site.yaml", "edge.yaml", "cloud.yaml"]


def test_its_files_are_right_and_its_commands_say_what_it_shows(tmp_path: Path) -> None:
    lay_out(tmp_path, free_port())
    for command in (
        "onelot driver check profiles",
        "onelot edge --config edge.yaml --check",
        "onelot cloud --config cloud.yaml --check",
    ):
        shown = PAGE.partition(f"$ {command}\n")[2].partition("\n")[0]
        assert shown, f"the page does not show {command}"
        assert run(tmp_path, command).strip() == shown
    copied = run(tmp_path, "onelot driver show example/press")
    (tmp_path / "my-press.yaml").write_text(copied, "utf-8")
    run(tmp_path, "onelot driver check my-press.yaml")
    run(tmp_path, "onelot driver list")
    run(tmp_path, "onelot driver show modbus")


def test_its_profile_is_simulated_and_read(tmp_path: Path) -> None:
    port = free_port()
    lay_out(tmp_path, port)
    simulate = onelot("driver", "simulate", "profiles/acme/press.yaml", "--port", str(port))
    with subprocess.Popen(simulate, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == f"Acme Press 40: 4 tags at modbus://127.0.0.1:{port}?unit=1\n"
            profile = "profiles/acme/press.yaml"
            read = run(tmp_path, f"onelot driver read modbus://127.0.0.1:{port} --profile {profile}")
        finally:
            server.terminate()
            server.wait(30)
    rows = {line.split()[0]: line.split()[1] for line in read.splitlines()}
    assert list(rows) == ["state", "part_count", "force", "door_open"]
    assert "✕" not in rows.values()
