"""What only the SQLite adapter promises: first write wins, one file a period, compaction, damage found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.history import chunks
from cloud.history.port import Series, downsample
from cloud.history.sqlite import DAY, GRACE, SqliteHistory

VALUES = st.one_of(
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=100),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=100),
    st.lists(
        st.one_of(st.none(), st.booleans(), st.text(), st.floats(allow_nan=False)), min_size=1, max_size=100
    ),
)


@given(VALUES, st.data())
def test_a_chunk_gives_back_what_went_in(values: list[float], data: st.DataObject) -> None:
    rows = len(values)
    times = data.draw(st.lists(st.integers(0, 2**62), min_size=rows, max_size=rows))
    bad = data.draw(st.dictionaries(st.integers(0, rows - 1), st.integers(1, 2)))
    written = Series(list(times), list(values), bad)

    assert chunks.decode(chunks.encode(written)) == written


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x01\x02\x05\x00\x00\x00junk"])
def test_a_damaged_chunk_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="history chunk"):
        chunks.decode(damage)


def test_the_first_value_written_wins(tmp_path: Path) -> None:
    with closing(SqliteHistory(tmp_path)) as history:
        history.write({1: Series([10, 20], [1.0, 2.0])})
        history.write({1: Series([20, 30], [99.0, 3.0])})

        assert history.read(1, 0, 100).values == [1.0, 2.0, 3.0]


def test_each_period_has_its_file_and_retention_deletes_files(tmp_path: Path) -> None:
    with closing(SqliteHistory(tmp_path)) as history:
        history.write({1: Series([DAY - 1, DAY, 2 * DAY], [1, 2, 3])})
        assert sorted(path.name for path in tmp_path.glob("*.db")) == [
            "history-0.db",
            "history-1.db",
            "history-2.db",
        ]
        assert history.read(1, 0, 3 * DAY).values == [1, 2, 3]

        assert history.prune(2 * DAY) == 2

        assert history.read(1, 0, 3 * DAY).values == [3]
    assert [path.name for path in tmp_path.glob("history-0*")] == []


def test_compaction_saves_chunks_and_no_sample(tmp_path: Path) -> None:
    with closing(SqliteHistory(tmp_path)) as history:
        for flush in range(5):
            history.write({1: Series([flush * 10], [float(flush)]), 2: Series([flush], [flush])})
        before = history.read(1, 0, DAY)

        assert history.compact(0) == 8

        assert history.read(1, 0, DAY) == before
        with closing(sqlite3.connect(tmp_path / "history-0.db")) as file:
            assert file.execute("SELECT count(*) FROM chunk").fetchone() == (2,)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history-0.db")) as file:
        file.execute("PRAGMA user_version=99")
    with closing(SqliteHistory(tmp_path)) as history, pytest.raises(RuntimeError, match="schema 99"):
        history.write({1: Series([1], [1])})


def test_downsampling_keeps_the_spike() -> None:
    flat = Series(list(range(10_000)), [0.0] * 10_000)
    flat.values[5_432] = 99.0

    small = downsample(flat, 200)

    assert len(small) <= 202
    assert 99.0 in small.values
    assert small.times == sorted(small.times)


def test_closed_periods_are_compacted_once_and_again_when_late_samples_come(tmp_path: Path) -> None:
    def chunk_count(period: int) -> int:
        with closing(sqlite3.connect(tmp_path / f"history-{period}.db")) as file:
            return int(file.execute("SELECT count(*) FROM chunk").fetchone()[0])

    second = 1_000_000
    values = list(range(12_000))
    with closing(SqliteHistory(tmp_path)) as history:
        for start in range(0, 12_000, 100):
            times = [row * 7 * second for row in range(start, start + 100)]
            history.write({1: Series(times, list(values[start : start + 100]), {3: 1})})
        history.write({1: Series([DAY], [1]), 2: Series([5], [1])})
        history.write({1: Series([DAY + 1], [2])})

        assert history.compact_closed(DAY + GRACE - 1) == 0
        assert history.compact_closed(DAY + GRACE) == 120 - 3
        assert (chunk_count(0), chunk_count(1)) == (4, 2)
        found = history.read(1, 0, DAY)
        assert (found.values, sorted(found.qualities)) == (values, list(range(3, 12_000, 100)))
        assert history.compact_closed(DAY + GRACE) == 0
    with closing(SqliteHistory(tmp_path)) as history:
        assert history.compact_closed(DAY + GRACE) == 0  # it is written in the file
        history.write({1: Series([7 * second, 7 * second + 1], [99, 98])})
        assert history.compact_closed(DAY + GRACE) == 1
        assert history.read(1, 0, 14 * second + 1).values == [0, 1, 98, 2]
