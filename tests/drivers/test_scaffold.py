"""``driver new``: what it makes installs, passes the contract, and is used by an edge as any other driver."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pytest

from drivers.scaffold.package import check_name, files
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
NAME = "acme_line"
SITE = """
id: workshop
uuid: 7f3c1f04-5f0a-4e0e-8a57-0d8f5cbb2a10
title: Workshop
calendar: {timezone: Europe/Berlin}
areas:
  - id: hall
    uuid: 7f3c1f04-5f0a-4e0e-8a57-0d8f5cbb2a11
    title: Hall
    lines:
      - id: forming
        uuid: 7f3c1f04-5f0a-4e0e-8a57-0d8f5cbb2a12
        title: Forming
        workcells: [{id: line-1, uuid: 7f3c1f04-5f0a-4e0e-8a57-0d8f5cbb2a13, title: Line 1, kind: press}]
edges:
  - id: hall
    workcells: [line-1]
    devices:
      - id: line-1
        asset: 7f3c1f04-5f0a-4e0e-8a57-0d8f5cbb2a14
        title: Line 1
        profile: acme_line/example
        url: acme-line://127.0.0.1:PORT
        workcells: [line-1]
stop_reasons: {fault: Machine fault | 机器故障}
"""


def run(*words: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A package made by the command and installed beside the product, without any network."""
    folder = tmp_path_factory.mktemp("scaffold")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = (sys.executable, "-m", "onelot", "driver", "new", NAME)
    done = run(*command, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    package = folder / "onelot-acme-line"
    python = ("--python", sys.executable, "--target", str(folder / "site"))
    install = (sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--no-build-isolation")
    done = run(*install, *python, str(package), cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    env["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), str(ROOT)])
    again = run(*command, cwd=folder, env=env)
    assert again.returncode == 1
    assert f'there is a driver "{NAME}" already' in again.stderr
    return package, env


def test_its_own_tests_pass(made: tuple[Path, dict[str, str]]) -> None:
    package, env = made
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests")
    done = run(*command, cwd=package, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 25
    assert "skipped" not in done.stdout


def test_it_is_clean(made: tuple[Path, dict[str, str]]) -> None:
    package, env = made
    ruff = (sys.executable, "-m", "ruff")
    for check in (("check", "--select", "E,F,W,I,UP,B,SIM,ASYNC"), ("format", "--check")):
        done = run(*ruff, *check, "--isolated", "--line-length", "110", ".", cwd=package, env=env)
        assert done.returncode == 0, done.stdout


def test_the_tool_and_an_edge_use_it(made: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    package, env = made
    onelot = (sys.executable, "-m", "onelot")
    listed = json.loads(run(*onelot, "driver", "list", "--json", cwd=tmp_path, env=env).stdout)
    assert "Machines that speak acme_line" in [driver["summary"] for driver in listed["drivers"]]
    port, api = free_port(), free_port()
    profile = str(package / "profiles" / NAME / "example.yaml")
    (tmp_path / "site.yaml").write_text(SITE.replace("PORT", str(port)), "utf-8")
    (tmp_path / "edge.yaml").write_text(
        f"edge: hall\nsite: site.yaml\nprofiles: {package / 'profiles'}\ndata: data\n"
        f"broker: {{host: 127.0.0.1, port: {free_port()}}}\napi: {{port: {api}}}\n",
        "utf-8",
    )
    simulate = (*onelot, "driver", "simulate", profile, "--port", str(port))
    with ExitStack() as stack:
        for command in (simulate, (*onelot, "edge", "--config", "edge.yaml")):
            process = subprocess.Popen(
                command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        read = _until_read(onelot, f"acme-line://127.0.0.1:{port}", profile, tmp_path, env)
        assert "running" in read
        assert _until_connected(api) == {"line-1"}


def _until_read(onelot: tuple[str, ...], url: str, profile: str, cwd: Path, env: Mapping[str, str]) -> str:
    for _ in range(60):
        done = run(*onelot, "driver", "read", url, "--profile", profile, cwd=cwd, env=env)
        if done.returncode == 0:
            return done.stdout
        time.sleep(0.2)
    raise AssertionError(done.stderr)


def _until_connected(port: int) -> set[str]:
    """The devices that the edge says it is connected to."""
    found: object = None
    for _ in range(150):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                found = json.load(answer)
        except OSError:
            time.sleep(0.2)
            continue
        assert isinstance(found, dict)
        connected = {device["id"] for device in found["devices"] if device["connected"]}
        if connected:
            return connected
        time.sleep(0.2)
    raise AssertionError(f"the edge is not connected: {found}")


@pytest.mark.parametrize("name", ["Acme", "1line", "a", "class", "acme-line", "../x", "a" * 40])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a driver"):
        check_name(name, [])


def test_the_files_lie_where_the_readme_says() -> None:
    made = files("tesla_coil")
    readme = made[PurePosixPath("README.md")]
    for path in re.findall(r"^\| `([^`]+)`", readme, re.MULTILINE):
        assert PurePosixPath(path) in made
    assert all("$" not in text.replace("$ ", "") for text in made.values())
