"""The harness gives figures. How good they are is for ``make bench``: no test is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Figure, Size, median, percentile

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
    )


def test_two_benches_give_a_table_and_json(tmp_path: Path) -> None:
    done = bench("outbox", "ingest", "--quick", "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("*-outbox-ingest.json")
    report = json.loads(file.read_text("utf-8"))
    assert report["size"] == "quick"
    assert report["machine"]["cores"] >= 1
    assert [result["name"] for result in report["results"]] == ["outbox", "ingest"]
    for result in report["results"]:
        assert result["problem"] == ""
        for figure in result["figures"]:
            assert figure["reached"] > 0
            assert figure["what"][:40] in done.stdout
    (backlog,) = [f for f in report["results"][1]["figures"] if f["what"] == "ledger + history, backlog"]
    assert backlog["met"] is (backlog["reached"] >= backlog["target"])


def test_an_unknown_bench_is_named() -> None:
    done = bench("outbocks")
    assert done.returncode == 2
    assert "there is no bench outbocks: choose from outbox, ingest" in done.stderr


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("a", 3.0, "ms", 4.0), True),
        (Figure("a", 5.0, "ms", 4.0), False),
        (Figure("a", 5.0, "/s", 4.0, "more"), True),
        (Figure("a", 5.0, "ms"), None),
        (Figure("a", None, "ms", 4.0), None),
    ],
)
def test_a_figure_knows_whether_its_target_is_met(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_sizes_medians_and_percentiles() -> None:
    assert [size.of(1, 2, 3) for size in Size] == [1, 2, 3]
    assert Size.FULL.of(1, 2) == 2
    assert median("a", [5.0, 1.0, 2.0], "ms").reached == 2.0
    assert percentile([float(n) for n in range(100)], 0.95) == 95.0
    assert percentile([7.0], 0.99) == 7.0
