"""``onelot maintenance`` as a person uses it: from a table of runs to a prognosis in words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.maintenance.command.main import app
from tests.cloud.maintenance.rul import worn
from tests.cloud.maintenance.rul.test_weibull import SHOCK_ABSORBERS

runner = CliRunner()
HEAD = ["asset", "hour", "speed", *worn.SIGNALS, "failed"]


def write_runs(file: Path, runs: int, *, failed: bool = True, first: int = 0) -> Path:
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(HEAD)
        for number in range(first, first + runs):
            run = worn.run(f"press-{number}", number, failed=failed)
            for hour, (conditions, values) in enumerate(
                zip(run.conditions, run.values, strict=True), start=1
            ):
                end = int(failed and hour == len(run))
                rows.writerow([run.asset, hour, *map(float, conditions), *map(float, values), end])
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, a model signed with it, and machines of today."""
    made = tmp_path_factory.mktemp("maintenance")
    write_runs(made / "runs.csv", 12)
    write_runs(made / "today.csv", 3, failed=False, first=50)
    assert runner.invoke(app, ["key", str(made / "signing.pem")]).exit_code == 0
    answer = runner.invoke(
        app,
        ["train", str(made / "runs.csv"), "--time", "hour", "--condition", "speed", "--json", "--trees", "15",
         "--key", str(made / "signing.pem"), "--out", str(made / "model.json")],
    )  # fmt: skip
    assert answer.exit_code == 0, answer.output
    (made / "train.json").write_text(answer.stdout)
    return made


def test_training_tells_what_it_found(folder: Path) -> None:
    told = json.loads((folder / "train.json").read_text())

    assert told["signals"] == ["vibration", "temperature", "current"]
    assert (told["regimes"], told["training"]["assets"], told["unit"]) == (2, 12, "h")
    assert told["cv"]["rmse_capped"] < 12
    assert told["interval"]["target"] == 0.9
    assert told["row"] == {"counter": "", "every": 3600.0, "settle": 0.0}, "h is an hour of work"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--counter", "cycle", "--every", "60"], "--counter and --every"),
        (["--settle", "1"], "--settle is for a row by --counter"),
        (["--every", "9999999"], "1 s to a week"),
    ],
)
def test_what_a_row_of_a_running_machine_is_must_make_sense(
    tmp_path: Path, words: list[str], said: str
) -> None:
    answer = runner.invoke(app, ["train", str(tmp_path / "runs.csv"), *words])

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_model_of_cycles_names_its_counter(tmp_path: Path) -> None:
    file = write_runs(tmp_path / "runs.csv", 12)
    words = ["--time", "hour", "--trees", "5", "--unit", "cycles", "--out", str(tmp_path / "m.json")]
    plain = runner.invoke(app, ["train", str(file), *words])
    counted = runner.invoke(app, ["train", str(file), *words, "--counter", "cycle", "--settle", "0.5"])

    assert "scores files alone" in plain.stdout
    assert "a row is the values at every new cycle, as they are 0.5 s later" in counted.stdout


def test_scoring_tells_every_machine(folder: Path) -> None:
    words = ["score", str(folder / "model.json"), str(folder / "today.csv"), "--time", "hour"]
    trust = ["--trust", str(folder / "signing.pem.pub")]
    told = json.loads(runner.invoke(app, [*words, *trust, "--json"]).stdout)
    table = runner.invoke(app, [*words, *trust]).stdout

    assert [one["asset"] for one in told] == ["press-50", "press-51", "press-52"]
    for one in told:
        assert 0 <= one["lower"] <= one["life"]
        assert one["upper"] is None or one["life"] <= one["upper"]
        assert one["asset"] in table


def test_every_sample_can_be_scored(folder: Path) -> None:
    words = ["score", str(folder / "model.json"), str(folder / "today.csv"), "--time", "hour", "--json"]
    every = json.loads(runner.invoke(app, [*words, "--every"]).stdout)
    last = json.loads(runner.invoke(app, words).stdout)

    assert [one["age"] for one in every if one["asset"] == "press-50"] == list(range(1, last[0]["age"] + 1))
    assert [one for one in every if one["asset"] == "press-50"][-1] == last[0]


def test_explaining_names_signals(folder: Path) -> None:
    words = ["explain", str(folder / "model.json"), str(folder / "today.csv"), "press-51", "--time", "hour"]
    told = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    said = runner.invoke(app, words).stdout

    assert {one["signal"] for one in told["evidence"]} == {"vibration", "temperature", "current"}
    assert said.startswith("press-51, ")
    assert "it by" in said


def test_a_machine_that_is_not_there_is_said_with_those_that_are(folder: Path) -> None:
    words = ["explain", str(folder / "model.json"), str(folder / "today.csv"), "press-9", "--time", "hour"]
    answer = runner.invoke(app, words)

    assert answer.exit_code == 2
    assert 'no machine "press-9": there are press-50, press-51, press-52' in answer.stderr


def test_a_changed_or_foreign_model_is_refused(folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.json"
    changed.write_bytes((folder / "model.json").read_bytes().replace(b'"unit":"h"', b'"unit":"d"'))
    runner.invoke(app, ["key", str(tmp_path / "other.pem")])
    today = str(folder / "today.csv")
    one = runner.invoke(app, ["score", str(changed), today])
    other = runner.invoke(
        app, ["score", str(folder / "model.json"), today, "--trust", str(tmp_path / "other.pem.pub")]
    )

    assert (one.exit_code, other.exit_code) == (2, 2)
    assert "changed.json: changed after it was written" in one.stderr
    assert "model.json: signed by key" in other.stderr


@pytest.mark.parametrize(
    ("runs", "failed", "said"), [(9, True, "9 run-to-failures"), (12, False, "one class")]
)
def test_data_that_make_no_model_are_refused_in_words(
    tmp_path: Path, runs: int, failed: bool, said: str
) -> None:
    file = write_runs(tmp_path / "few.csv", runs, failed=failed)
    answer = runner.invoke(app, ["train", str(file), "--time", "hour", "--out", str(tmp_path / "m.json")])

    assert answer.exit_code == 2
    assert said in answer.stderr
    assert not (tmp_path / "m.json").exists()


def test_wear_parts_are_told_with_what_is_left(tmp_path: Path) -> None:
    file = tmp_path / "absorbers.csv"
    lives = [(word.rstrip("F"), int(word.endswith("F"))) for word in SHOCK_ABSORBERS.split()]
    file.write_text("life,failed\n" + "".join(f"{life},{failed}\n" for life, failed in lives))
    told = json.loads(runner.invoke(app, ["wear", str(file), "--age", "20000", "--json"]).stdout)
    said = runner.invoke(app, ["wear", str(file), "--unit", "km", "--age", "20000"]).stdout

    assert (told["failures"], told["censored"]) == (11, 27)
    assert told["scale"]["value"] == pytest.approx(27719, abs=1)
    assert told["remaining"]["lower"] < told["remaining"]["median"] < told["remaining"]["upper"]
    assert said.startswith("11 parts failed, 27 were replaced before or are in use\nwear: shape 3.16 (")
    assert "at 20000 km: " in said


def test_parts_that_tell_no_life_are_refused(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("life,failed\n" + "10,0\n" * 30)
    (tmp_path / "odd.csv").write_text("hours,failed\n10,0\n")
    new = runner.invoke(app, ["wear", str(tmp_path / "new.csv")])
    odd = runner.invoke(app, ["wear", str(tmp_path / "odd.csv")])

    assert (new.exit_code, odd.exit_code) == (2, 2)
    assert "new.csv: 0 of 30 parts failed, 3 failures are wanted" in new.stderr
    assert 'no column "life": there are hours, failed' in odd.stderr


def test_keys_are_not_overwritten_and_others_are_no_keys(folder: Path, tmp_path: Path) -> None:
    before = (folder / "signing.pem").read_bytes()
    again = runner.invoke(app, ["key", str(folder / "signing.pem")])
    public = ["train", str(folder / "runs.csv"), "--key", str(folder / "signing.pem.pub")]
    wrong = runner.invoke(app, [*public, "--out", str(tmp_path / "m.json")])

    assert (again.exit_code, wrong.exit_code) == (2, 2)
    assert "is there already" in again.stderr
    assert "not a private key of Ed25519" in wrong.stderr
    assert (folder / "signing.pem").read_bytes() == before
    assert (folder / "signing.pem").stat().st_mode & 0o077 == 0
