"""The bench of the detector: counts alarms as it says, refuses what is no C-MAPSS, reaches its target."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.benches.detector import (
    HEALTHY,
    SENSORS,
    Cycle,
    bench,
    follow,
    located,
    read,
    report,
)
from cloud.maintenance.command.main import app

ROOT = Path(__file__).parents[4]
CMAPSS = Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared")) / "data" / "pdm" / "cmapss"
needs_cmapss = pytest.mark.skipif(
    not (CMAPSS / "train_FD001.txt.gz").exists(),
    reason="C-MAPSS is not here: put its files into ../shared/data/pdm/cmapss or say where they are with "
    "ONELOT_SHARED (NASA Prognostics Data Repository, Turbofan Engine Degradation Simulation)",
)


def engine(life: int, begins: int, seed: int = 1) -> list[Cycle]:
    """An engine whose first four sensors drift from ``begins`` cycles before its end."""
    rng = random.Random(seed)
    rows = []
    for cycle in range(1, life + 1):
        worn = max(0, cycle - (life - begins)) * 0.1
        sensors = [rng.gauss(100 + (worn if at < 12 else 0), 1) for at in range(len(SENSORS))]
        rows.append((0.0, 0.0, 100.0, *sensors))
    return rows


def test_an_alarm_before_it_is_due_is_early_and_earns_no_lead() -> None:
    late, soon = follow(1, engine(300, 60)), follow(2, engine(300, 200))
    assert late.early == 0
    assert late.lead is not None
    assert 0 < late.lead < 60
    assert soon.early == 1
    assert soon.lead == HEALTHY
    assert late.healthy == soon.healthy == 300 - HEALTHY - 1 - 30
    both = report([late, soon])
    assert (both.engines, both.caught, both.early_alarms) == (2, 2, 1)
    assert both.early_per_1000 == pytest.approx(1000 / both.healthy_cycles, abs=0.01)


def test_an_engine_that_never_alarms_is_missed_and_counts_as_no_lead() -> None:
    found = report([follow(1, engine(200, 0))])
    assert (found.caught, found.median_lead) == (0, 0)


def test_another_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "train_FD001.txt"
    file.write_text("1 1 0 0 100 " + "1 " * 21 + "\n1 2 3\n")
    with pytest.raises(BenchDataError, match=r"train_FD001\.txt:2: not 26 numbers"):
        read(file)
    with pytest.raises(BenchDataError, match="NASA"):
        bench(tmp_path, "FD003")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(app, ["bench", "detector", str(tmp_path), "--set", "FD009"])
    assert wrong.exit_code != 0
    assert "FD001, FD002, FD003, FD004" in wrong.output
    missing = CliRunner().invoke(app, ["bench", "detector", str(tmp_path)])
    assert missing.exit_code != 0
    assert "NASA" in missing.output


def test_the_command_prints_detection_beside_false_alarms(tmp_path: Path) -> None:
    lines = [
        " ".join(str(value) for value in (number, cycle, *row))
        for number in (1, 2)
        for cycle, row in enumerate(engine(200, 80, number), 1)
    ]
    (tmp_path / "train_FD001.txt").write_text("\n".join(lines))
    told = CliRunner().invoke(app, ["bench", "detector", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "2/2" in told.output
    assert "per 1,000 healthy" in told.output
    asked = CliRunner().invoke(app, ["bench", "detector", str(tmp_path), "--json"])
    found = json.loads(asked.stdout)
    assert (found["set"], found["all_engines"]["engines"], found["design"]["engines"]) == ("FD001", 2, 1)


@needs_cmapss
@pytest.mark.parametrize("name", ["FD001", "FD003"])
def test_every_turbofan_is_caught_in_time_with_few_early_alarms(name: str) -> None:
    found = bench(CMAPSS, name)
    everyone = found.all_engines
    assert (everyone.caught, everyone.engines) == (100, 100)
    assert everyone.median_lead >= 55
    assert everyone.early_per_1000 <= 1.5
    assert found.report.caught == found.report.engines


@needs_cmapss
@pytest.mark.parametrize("name", ["FD002", "FD004"])
def test_turbofans_with_six_regimes_are_caught_too(name: str) -> None:
    """Every sixth engine: the bench itself follows all of them."""
    engines = sorted(read(located(CMAPSS, name)).items())[::6]
    found = report([follow(engine, cycles) for engine, cycles in engines])
    assert found.caught == found.engines
    assert found.median_lead >= 55
    assert found.early_per_1000 <= 1.5
