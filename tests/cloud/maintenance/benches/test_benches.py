"""The benches: their arithmetic, their files, and small runs on the public data where they are at hand."""

from __future__ import annotations

import gzip
import json
import os
from math import exp
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cloud.maintenance.benches import ai4i, cmapss, mill
from cloud.maintenance.benches.classifying import best_cut, count
from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.command.main import app

ROOT = Path(__file__).parents[4]
DATA = Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared")) / "data" / "pdm"
WANTED = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="C-MAPSS (NASA prognostics data repository), AI4I 2020 (UCI 601) and the CNC mill wear data "
    "(Kaggle shasun) are not in ../shared/data/pdm: ONELOT_SHARED names the folder above data",
)


def write_engines(folder: Path, stem: str, lives: list[int], *, packed: bool = False) -> None:
    """Files in the form of C-MAPSS: one sensor wears, the others stand still or make noise."""
    rng = np.random.default_rng(3)
    lines = []
    for engine, life in enumerate(lives, start=1):
        for cycle in range(1, life + 1):
            sensors = [100.0 + 5 * (cycle / life) ** 3 + rng.normal(0, 0.3), rng.normal(0, 1), *[7.0] * 19]
            cells = [engine, cycle, 0.0, 0.0, 100.0, *sensors]
            lines.append(" ".join(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells))
    text = ("\n".join(lines) + "\n").encode()
    if packed:
        (folder / f"{stem}.txt.gz").write_bytes(gzip.compress(text))
    else:
        (folder / f"{stem}.txt").write_bytes(text)


def test_the_score_of_nasa_punishes_late_more_than_early() -> None:
    found = cmapss.nasa_score(np.array([20.0, 30.0, 13.0]), np.array([20.0, 20.0, 26.0]))

    assert found == pytest.approx(0.0 + (exp(1) - 1) + (exp(1) - 1))


def test_the_command_prints_exactly_what_is_promised(tmp_path: Path) -> None:
    write_engines(tmp_path, "train_FD001", [40 + 3 * n for n in range(12)])
    write_engines(tmp_path, "test_FD001", [30, 44, 25], packed=True)
    (tmp_path / "RUL_FD001.txt").write_text("20\n3\n40\n")
    answer = CliRunner().invoke(app, ["bench", "cmapss", str(tmp_path), "--trees", "5", "--json"])

    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert {name: set(part) if isinstance(part, dict) else part for name, part in told.items()} == {
        "set": "FD001",
        "cv": {"rmse_capped"},
        "test": {"rmse_capped", "score_capped", "rmse_raw", "score_raw"},
        "interval": {"target", "coverage", "mean_width"},
        "seconds": {"train", "total"},
    }
    assert told["interval"]["target"] == 0.9
    assert all(
        value > 0 for value in (*told["cv"].values(), *told["test"].values(), *told["seconds"].values())
    )


def test_without_a_test_file_it_says_so(tmp_path: Path) -> None:
    write_engines(tmp_path, "train_FD002", [40 + 3 * n for n in range(10)])
    answer = CliRunner().invoke(
        app, ["bench", "cmapss", str(tmp_path), "--set", "FD002", "--trees", "2", "--json"]
    )

    assert json.loads(answer.stdout)["test"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cmapss", ".", "--set", "FD005"], 'FD005" is not one of FD001, FD002, FD003, FD004'),
        (["cmapss", "."], "train_FD001.txt (or .txt.gz) is not there: obtain the C-MAPSS data of NASA"),
        (["ai4i", "ai4i2020.csv"], "obtain the AI4I 2020"),
        (["mill", "."], "obtain the CNC mill tool wear data"),
    ],
)
def test_missing_data_say_where_to_obtain_them(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["bench", *words])

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_FD001.txt").write_text("1 2 3\n")
    with pytest.raises(BenchDataError, match="3 columns, 26 are wanted"):
        cmapss.read_fleet(tmp_path, "FD001")
    (tmp_path / "train_FD001.txt").write_text("one two three\n")
    with pytest.raises(BenchDataError, match="not a table of numbers"):
        cmapss.read_fleet(tmp_path, "FD001")


def test_decisions_are_counted() -> None:
    decided = count(np.array([True, True, False, False, True]), np.array([True, False, True, False, True]))

    assert (decided.hits, decided.missed, decided.false_alarms, decided.quiet) == (2, 1, 1, 1)
    assert decided.f1 == pytest.approx(2 / 3)
    assert decided.accuracy == pytest.approx(0.6)
    assert best_cut(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, False, True, True])) == 0.6


@WANTED
@pytest.mark.parametrize(("name", "engines", "rows"), [("FD001", 100, 20631), ("FD004", 249, 61249)])
def test_the_engines_of_the_public_files_are_all_read(name: str, engines: int, rows: int) -> None:
    fleet = cmapss.read_fleet(DATA / "cmapss", name)

    assert (len(fleet.runs), sum(map(len, fleet.runs))) == (engines, rows)


@WANTED
def test_the_other_public_files_are_all_read() -> None:
    features, failed = ai4i.read(DATA / "ai4i2020" / "ai4i2020.csv.gz")
    rows, experiment, worn = mill.read(DATA / "cnc_mill")

    assert (features.shape, int(failed.sum())) == ((10_000, 9), 339)
    assert (len(np.unique(experiment)), rows.shape[1]) == (18, 44)
    assert len({int(n) for n in experiment[worn]}) == 10
