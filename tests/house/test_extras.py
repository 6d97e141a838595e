"""An edge runs without the cloud's libraries and the cloud without the edge's.

Each side's modules are imported, every one, in a process that can see only what ``pip install
onelot[<extra>]`` would have installed: everything outside the extra's dependency closure is invisible.
"""

import functools
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SIDES = {"edge": ("protocols", "drivers", "edge"), "cloud": ("protocols", "cloud")}
# Shipped for the tests of a driver's author, who has pytest; the product never imports it.
FOR_TESTS_ONLY = {"drivers.contract", "drivers.waveform_contract"}

IMPORT_ALL = """
import importlib, sys

class OutsideTheExtra:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in hidden:
            raise ModuleNotFoundError(f"No module named {name!r} (not in this extra)", name=name)

sys.meta_path.insert(0, OutsideTheExtra())
sys.path.insert(0, ".")
for name in modules:
    importlib.import_module(name)
print(len(modules), "modules imported")
"""


def _closure(wanted: Iterable[str]) -> set[str]:
    """Canonical names of the distributions an installer would bring for these requirements."""
    done: set[tuple[str, str]] = set()
    queue = [(Requirement(text), "") for text in wanted]
    while queue:
        requirement, parent_extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": parent_extra}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            try:
                further = requires(name) or []
            except PackageNotFoundError:
                continue
            queue += [(Requirement(text), extra) for text in further]
    return {name for name, _ in done}


@functools.cache
def _hidden(extra: str) -> frozenset[str]:
    """Top-level names of installed libraries that the extra does not bring."""
    allowed = _closure([*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]])
    return frozenset(
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & allowed
    )


def _modules(packages: Iterable[str]) -> list[str]:
    """Every module of the packages by dotted name; Alembic's scripts, which Alembic alone loads, excepted."""
    files = [file.relative_to(ROOT) for package in packages for file in (ROOT / package).rglob("*.py")]
    named = [file for file in files if "migrations" not in file.parts and file.stem != "__main__"]
    names = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in named}
    return sorted(names - FOR_TESTS_ONLY)


def _import_all(modules: list[str], hidden: frozenset[str]) -> subprocess.CompletedProcess[str]:
    program = f"modules = {modules!r}\nhidden = {sorted(hidden)!r}\n{IMPORT_ALL}"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )


NOT_FOR = {
    "edge": {"sqlalchemy", "alembic", "ortools", "nicegui", "amqtt", "influxdb_client", "pandas"},
    "cloud": {"asyncua", "pymodbus", "textual", "sqlite_utils"},
}


@pytest.mark.parametrize("extra", NOT_FOR)
def test_an_extra_brings_none_of_the_other_sides_libraries(extra: str) -> None:
    hidden = _hidden(extra)
    assert NOT_FOR[extra] <= hidden
    assert {"msgspec", "pydantic", "paho", "fastapi"} & hidden == set()


@pytest.mark.parametrize("side", SIDES)
def test_every_module_imports_with_its_own_extra_alone(side: str) -> None:
    modules = _modules(SIDES[side])
    other_side = {"edge", "drivers", "cloud"} - set(SIDES[side])
    result = _import_all(modules, _hidden(side) | other_side | {"onelot"})
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"{len(modules)} modules imported"


def test_a_library_outside_the_extra_would_be_noticed() -> None:
    result = _import_all(["asyncua"], _hidden("cloud"))
    assert result.returncode == 1
    assert "No module named 'asyncua' (not in this extra)" in result.stderr
