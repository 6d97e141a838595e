"""The house has the rooms it says it has, and nothing is lying about."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocols", "drivers", "edge", "cloud")
TOP = {
    *PACKAGES,
    "firmware_configs",
    "tests",
    "docs",
    ".ci",
    ".gitignore",
    "onelot.py",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "requirements-demo.lock",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
}
NAMELESS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "models",
    "services",
    "base",
}


def _files() -> list[Path]:
    """Files that the repository keeps; those of the packages where git is not at hand.

    What somebody left beside them, such as a demo's report, is not the house.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [Path(name) for name in names if (ROOT / name).exists()]
    return [file.relative_to(ROOT) for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")]


FILES = _files()
MODULES = [file for file in FILES if file.suffix == ".py" and file.parts[0] in PACKAGES]


def test_only_the_named_rooms_stand_at_the_top() -> None:
    assert {file.parts[0] for file in FILES} <= TOP


def test_no_file_has_a_name_that_says_nothing() -> None:
    named = [file for file in FILES if file.suffix == ".py"]
    assert [file for file in named if NAMELESS & {file.stem, *file.parts[:-1]}] == []


def test_tests_are_no_package() -> None:
    assert [file for file in FILES if file.parts[0] == "tests" and file.name == "__init__.py"] == []


def test_firmware_configs_hold_no_code() -> None:
    code = {".py", ".sh", ".js"}
    assert [file for file in FILES if file.parts[0] == "firmware_configs" and file.suffix in code] == []


def test_every_folder_of_a_package_is_a_package() -> None:
    folders = {file.parent for file in MODULES}
    data = {"migrations", "versions"}  # Alembic loads these by path
    wanted = {folder / "__init__.py" for folder in folders if folder.name not in data}
    assert wanted - set(FILES) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_an_init_is_a_docstring_and_nothing_else(package: str) -> None:
    for file in MODULES:
        if file.parts[0] == package and file.name == "__init__.py":
            tree = ast.parse((ROOT / file).read_text())
            assert ast.get_docstring(tree), f"{file} says nothing about its package"
            assert len(tree.body) == 1, f"{file} holds more than its docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_says_what_it_is(package: str) -> None:
    silent = [
        file
        for file in MODULES
        if file.parts[0] == package and not ast.get_docstring(ast.parse((ROOT / file).read_text()))
    ]
    assert silent == []
