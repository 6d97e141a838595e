"""``onelot driver files`` as it is typed, against a real machine with its programs in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.programs import sha256
from edge.commission.main import app
from tests.edge.commission.test_commission import simulated
from tests.edge.programs.releases import V1, V2, release_list

PROFILE = """\
vendor: Acme
model: Mill
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state}
states:
  0: {item_state: not_executing}
simulate:
"""


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a machine that stands still, and its profile; where programs are, an option says."""
    profile = tmp_path_factory.mktemp("profile") / "mill.yaml"
    profile.write_text(PROFILE.replace("simulate:\n", ""))
    with simulated(str(profile)) as url:
        yield url, profile


def files(
    command: str, mill: tuple[str, Path], folder: Path, *arguments: str, answer: str | None = None
) -> Result:
    url, profile = mill
    place = ["--option", f"program_folder={folder}", "--option", "program_mount=false"]
    options = ["--profile", str(profile), *place]
    return CliRunner().invoke(app, ["files", command, url, *arguments, *options], input=answer)


def test_a_program_is_sent_listed_fetched_and_compared(mill: tuple[str, Path], tmp_path: Path) -> None:
    at_machine, here = tmp_path / "mounted", tmp_path / "here"
    at_machine.mkdir()
    listed = release_list(here)
    assert files("list", mill, at_machine).output == "there are no files\n"

    compared = files("verify", mill, at_machine, "--releases", str(listed))
    assert compared.exit_code == 1
    assert '✕  O1000.nc  "O1000.nc" is missing' in compared.output

    refused = files("put", mill, at_machine, str(here / "O1000.nc"), answer="n\n")
    assert refused.exit_code == 1
    assert "which is not there yet" in refused.output
    assert not list(at_machine.iterdir())

    sent = files("put", mill, at_machine, str(here / "O1000.nc"), answer="y\n")
    assert sent.exit_code == 0, sent.output
    assert "read back: the same" in sent.output
    assert (at_machine / "O1000.nc").read_bytes() == V1

    (entry,) = json.loads(files("list", mill, at_machine, "--json").output)
    assert (entry["name"], entry["size"]) == ("O1000.nc", len(V1))
    compared = files("verify", mill, at_machine, "--releases", str(listed))
    assert (compared.exit_code, compared.output) == (0, "✓  O1000.nc  released by E4 on 2026-11-20\n")

    (at_machine / "O1000.nc").write_bytes(V2)
    compared = files("verify", mill, at_machine, "--releases", str(listed), "--json")
    assert compared.exit_code == 1
    assert json.loads(compared.output)[0]["found"] == sha256(V2)

    (at_machine / "O1000.nc").write_bytes(V1[:9])
    compared = files("verify", mill, at_machine, "--releases", str(listed))
    assert 'only the first 9 bytes of "O1000.nc" are there: a transfer did not end' in compared.output
    again = files("put", mill, at_machine, str(here / "O1000.nc"), answer="n\n")
    assert "in place of its first 9 bytes" in again.output

    (at_machine / "O1000.nc").write_bytes(V2)
    fetched = files("get", mill, at_machine, "O1000.nc", "--to", str(tmp_path / "found.nc"))
    assert sha256(V2) in fetched.output
    assert (tmp_path / "found.nc").read_bytes() == V2
    again = files("get", mill, at_machine, "O1000.nc", "--to", str(tmp_path / "found.nc"))
    assert "is there already" in again.output

    overwritten = files("put", mill, at_machine, str(here / "O1000.nc"), answer="y\n")
    assert "in place of what is there" in overwritten.output
    assert (at_machine / "O1000.nc").read_bytes() == V1


def test_what_is_wrong_is_said(mill: tuple[str, Path], tmp_path: Path) -> None:
    assert "has no file" in files("get", mill, tmp_path, "O9.nc", "--to", str(tmp_path / "x")).output
    assert "is it mounted?" in files("list", mill, tmp_path / "gone").output
    listed = release_list(tmp_path)
    nobody = files("verify", mill, tmp_path, "--releases", str(listed), "--device", "mill-9")
    assert 'nothing is released for "mill-9" there; there is for press-1' in nobody.output
    url, profile = mill
    without = CliRunner().invoke(app, ["files", "list", url, "--profile", str(profile)])
    assert without.exit_code == 1
    assert "--option program_folder=FOLDER" in without.output
