"""What ``tests/conftest.py`` promises to catch, it catches: every test of ``LEAKS`` must fail, by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LEAKS = """
async def test_leaked_task():
    kept.append(asyncio.create_task(asyncio.sleep(60), name="pump"))

def test_open_database(tmp_path):
    kept.append(sqlite3.connect(tmp_path / "open.db"))

def test_dropped_database(tmp_path):
    sqlite3.connect(tmp_path / "dropped.db")

def test_dropped_socket():
    socket.socket()

def test_socket_in_a_cycle():
    cycle = [socket.socket()]
    cycle.append(cycle)

async def test_coroutine_that_raises():
    raise ValueError("seen")

@pytest.mark.needs("oracle")
def test_unknown_server():
    pass
"""

INNOCENT = """
async def test_task_that_ends():
    kept.append(asyncio.create_task(asyncio.sleep(0.05)))

async def test_fixture_arguments(tmp_path, request):
    assert tmp_path.is_dir() and request.node.name == "test_fixture_arguments"

@pytest.mark.parametrize("n", [1, 2])
async def test_parameters(n):
    assert n in (1, 2)

def test_closed_database():
    connection = sqlite3.connect(":memory:")
    connection.close()
"""

REASONS = {
    "test_leaked_task": "pump",
    "test_open_database": "open.db",
    "test_dropped_database": "dropped.db",
    "test_dropped_socket": "ResourceWarning",
    "test_socket_in_a_cycle": "ResourceWarning",
    "test_coroutine_that_raises": "ValueError: seen",
    "test_unknown_server": "not one of mosquitto",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of a pytest run of its own over LEAKS and INNOCENT, under this project's conftest."""
    file = tmp_path_factory.mktemp("leaks") / "test_it.py"
    file.write_text(f"import asyncio, socket, sqlite3\nimport pytest\nkept = []\n{LEAKS}\n{INNOCENT}")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-v"]
    where = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(file)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        [*command, *where], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", REASONS)
def test_a_leak_fails_its_test_and_is_named(outcome: str, name: str) -> None:
    assert re.search(rf"^(FAILED|ERROR) \S*::{name}\b", outcome, re.MULTILINE), outcome
    heading = rf"^_+ (?:ERROR at \w+ of )?{name} _+$"
    section = re.search(rf"{heading}(.*?)(?=^_+ (?:ERROR|test_)|^=+ )", outcome, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert REASONS[name] in section[1]


def test_the_innocent_pass(outcome: str) -> None:
    names = [*re.findall(r"def (test_\w+)", INNOCENT)]
    passed = {match[1] for match in re.finditer(r"::(\w+)(?:\[\w+\])? PASSED", outcome)}
    assert set(names) <= passed
    assert not re.search(rf"^(FAILED|ERROR) \S*::({'|'.join(names)})\b", outcome, re.MULTILINE), outcome
