"""Files of samples: what they may look like, and what is said of those that cannot be used."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloud.maintenance.rul.sample_files import Columns, SampleFileError, read

ROOT = Path(__file__).parents[4]
TEXT = """asset,hour,speed,vibration,note,failed
a,2,10,1.2,x,0
a,1,10,1.1,x,0
b,1,20,,x,0
a,3,10,1.3,x,1
b,2,20,2.2,x,0
"""
COLUMNS = Columns(time="hour", conditions=("speed",))


def written(folder: Path, text: str, name: str = "runs.csv") -> Path:
    file = folder / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


@pytest.mark.parametrize("name", ["runs.csv", "runs.csv.gz"])
def test_rows_become_runs_in_the_order_of_time(tmp_path: Path, name: str) -> None:
    fleet = read(written(tmp_path, TEXT, name), COLUMNS, "h")

    assert (fleet.signals, fleet.conditions, fleet.unit) == (("vibration",), ("speed",), "h")
    assert [(run.asset, run.failed) for run in fleet.runs] == [("a", True), ("b", False)]
    assert fleet.runs[0].values.tolist() == [[1.1], [1.2], [1.3]]
    assert np.isnan(fleet.runs[1].values[0, 0])


def test_a_repaired_asset_is_another_run(tmp_path: Path) -> None:
    rows = "".join(f"a,{hour},10,1.0,x,{int(hour in (2, 5))}\n" for hour in range(1, 8))
    fleet = read(written(tmp_path, TEXT.splitlines()[0] + "\n" + rows), COLUMNS, "h")

    assert [(run.asset, len(run), run.failed) for run in fleet.runs] == [
        ("a #1", 2, True),
        ("a #2", 3, True),
        ("a #3", 2, False),
    ]


def test_without_a_column_of_failures_the_last_row_is_one(tmp_path: Path) -> None:
    fleet = read(written(tmp_path, "asset,load\na,1\na,2\n"), Columns(), "h")

    assert [(run.asset, run.failed) for run in fleet.runs] == [("a", True)]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = {
        "asset": ["a", "a", "b", "a", "b"],
        "hour": [2, 1, 1, 3, 2],
        "speed": [10.0, 10.0, 20.0, 10.0, 20.0],
        "vibration": [1.2, 1.1, None, 1.3, 2.2],
        "note": ["x"] * 5,
        "failed": [False, False, False, True, False],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "runs.parquet")
    one, other = read(tmp_path / "runs.parquet", COLUMNS, "h"), read(written(tmp_path, TEXT), COLUMNS, "h")

    assert one.signals == other.signals
    for mine, theirs in zip(one.runs, other.runs, strict=True):
        assert (mine.asset, mine.failed) == (theirs.asset, theirs.failed)
        assert np.array_equal(mine.values, theirs.values, equal_nan=True)


def test_without_the_library_parquet_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "runs.parquet").write_bytes(b"PAR1")
    program = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from pathlib import Path
from cloud.maintenance.rul.sample_files import Columns, read
read(Path(sys.argv[1]), Columns(), "h")
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "runs.parquet")],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert "needs the library pyarrow: pip install 'onelot[parquet]', or give it as CSV" in answer.stderr


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        (TEXT, Columns(asset="aset"), 'no column "aset": did you mean "asset"?'),
        (TEXT, Columns(time="hour", conditions=("Torque",)), 'no column "Torque": there are asset, hour'),
        (TEXT, Columns(signals=("note",)), 'row 2, column "note": "x" is no number'),
        (TEXT.replace(",x,1", ",x,maybe"), COLUMNS, 'row 5, column "failed": "maybe" is neither 0 nor 1'),
        (TEXT.replace("b,1,", "b,,"), COLUMNS, 'column "hour" has empty cells'),
        (TEXT.replace("a,1,10", "a,1,10,5"), COLUMNS, "runs.csv:3: 7 cells, the head has 6"),
        ("asset,note\na,x\n", Columns(), "no column of numbers is left for the signals"),
        ("asset,load\n", Columns(), "no rows below the head"),
        ("load,load\n1,2\n", Columns(), "the first row must name every column, each once"),
        ("", Columns(), "the first row must name every column"),
        ("asset,load\n\0\n", Columns(), "runs.csv:"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, columns: Columns, said: str) -> None:
    with pytest.raises(SampleFileError) as refused:
        read(written(tmp_path, text), columns, "h")
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path))


def test_files_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"not parquet at all")
    (tmp_path / "bad.csv.gz").write_bytes(b"not packed")
    (tmp_path / "bad.csv").write_bytes(b"asset,load\na,\xff\xfe\n")
    for name in ("bad.parquet", "bad.csv.gz", "bad.csv", "absent.csv"):
        with pytest.raises(SampleFileError, match=f"{name}: cannot be read"):
            read(tmp_path / name, Columns(), "h")
