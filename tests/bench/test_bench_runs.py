"""The harness gives figures. How good they are is for ``make bench``: no test is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Figure, Size, median, percentile
from tests.bench.schedule import kept, lateness

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


def test_a_schedule_is_kept_when_each_due_time_has_its_poll() -> None:
    even = [7 + 0.2 * n for n in range(50)]
    assert kept(even, 0.2) == 1.0
    assert kept([at + 0.05 * (n % 2) for n, at in enumerate(even)], 0.2) == 1.0
    assert kept([*even[:20], *even[30:]], 0.2) == 40 / 50
    doubled = sorted([*even[:25], *even[24:49], 7.001])
    assert kept([at for at in doubled if at != even[10]], 0.2) == 48 / 49, "one too many is not one more"
    assert kept([7 + 0.24 * n for n in range(50)], 0.2) < 0.9, "a schedule that slips"
    assert kept([], 0.2) == 0.0
    assert max(lateness(even, 0.2)) < 1e-9
