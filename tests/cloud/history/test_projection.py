"""The projection: nothing skipped whatever fails, nothing written before the cursor may move."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cloud.history.port import Series
from cloud.history.projection import Progress, Projection, TelemetryRow
from cloud.history.sqlite import SqliteHistory
from protocols import telemetry
from protocols.values import Quality, Reason, Sample


@dataclass
class MemoryLedger:
    """The ledger's part of the port, in memory."""

    rows: list[TelemetryRow] = field(default_factory=list)
    catalogues: dict[tuple[str, bytes], dict[int, int]] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    refused: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def add(self, *samples: Sample, catalogue: bytes = b"a") -> None:
        blob = telemetry.encode(telemetry.columns(catalogue, samples))
        self.rows.append(TelemetryRow(len(self.rows) + 1, "e1", blob))

    def telemetry_after(self, cursor: int, limit_bytes: int) -> list[TelemetryRow]:
        return [row for row in self.rows if row.id > cursor]

    def telemetry_row(self, row: int) -> TelemetryRow | None:
        self.read.append(row)
        return next((found for found in self.rows if found.id == row), None)

    def tag_ids(self, edge: str, catalogue: bytes) -> Mapping[int, int] | None:
        return self.catalogues.get((edge, catalogue))

    def refuse(self, row: TelemetryRow, problem: str) -> None:
        self.refused.append(row.id)

    def load_progress(self) -> Progress:
        return self.progress

    def save_progress(self, progress: Progress) -> None:
        self.progress = progress


class FailingHistory(SqliteHistory):
    """A history whose server goes away."""

    failing = False

    def write(self, gathered: Mapping[int, Series]) -> None:
        if self.failing:
            raise ConnectionError("server is away")
        super().write(gathered)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(catalogues={("e1", b"a"): {1: 101, 2: 102}})


def projected(ledger: MemoryLedger, history: SqliteHistory) -> Projection:
    return Projection(ledger, history, elapsed=lambda: 0.0)


def test_samples_reach_the_history_under_their_cloud_tag(ledger: MemoryLedger, tmp_path: Path) -> None:
    ledger.add(Sample(1, 10, 1.0), Sample(2, 10, "x"), Sample(1, 20, None, Quality.BAD, Reason.TIMEOUT))
    with closing(SqliteHistory(tmp_path)) as history:
        projection = projected(ledger, history)
        projection.step()
        projection.flush()

        assert history.read(101, 0, 100).values == [1.0, None]
        assert history.read(101, 0, 100).quality(1) is Quality.BAD
        assert history.read(102, 0, 100).values == ["x"]
    assert ledger.progress == Progress(cursor=1)
    assert projection.samples == 3


def test_gathering_waits_for_time_or_number(ledger: MemoryLedger, tmp_path: Path) -> None:
    now = 0.0
    ledger.add(Sample(1, 10, 1.0))
    with closing(SqliteHistory(tmp_path)) as history:
        projection = Projection(ledger, history, elapsed=lambda: now, gather_seconds=2.0, gather_samples=3)
        projection.step()
        assert ledger.progress.cursor == 0
        now = 2.0
        projection.step()
        assert ledger.progress.cursor == 1
        ledger.add(Sample(1, 20, 1.0), Sample(1, 30, 1.0), Sample(1, 40, 1.0))
        projection.step()
        assert ledger.progress.cursor == 2


def test_an_unknown_catalogue_is_held_and_does_not_stop_the_rest(
    ledger: MemoryLedger, tmp_path: Path
) -> None:
    ledger.add(Sample(1, 10, 1.0), catalogue=b"later")
    ledger.add(Sample(1, 20, 2.0))
    with closing(SqliteHistory(tmp_path)) as history:
        first = projected(ledger, history)
        first.step()
        first.flush()
        assert history.read(101, 0, 100).times == [20]
        assert ledger.progress == Progress(cursor=2, held=(1,))

        ledger.catalogues["e1", b"later"] = {1: 101}
        again = projected(ledger, history)
        again.step()

        assert history.read(101, 0, 100).times == [10, 20]
    assert ledger.progress.held == ()


def test_what_waits_for_a_catalogue_that_never_comes_costs_little(
    ledger: MemoryLedger, tmp_path: Path
) -> None:
    for n in range(50):
        ledger.add(Sample(1, n, 1.0), catalogue=b"never")
    ledger.add(Sample(1, 99, 1.0), catalogue=b"later")
    with closing(SqliteHistory(tmp_path)) as history:
        projection = projected(ledger, history)
        projection.step()
        for _ in range(3):
            projection.step()
        assert ledger.read == []
        ledger.catalogues["e1", b"later"] = {1: 101}
        projection.step()
        assert ledger.read == [51]
        assert history.read(101, 0, 100).times == [99]
    assert ledger.progress == Progress(cursor=51, held=tuple(range(1, 51)))


def test_what_cannot_be_read_is_refused_and_passed(ledger: MemoryLedger, tmp_path: Path) -> None:
    ledger.rows.append(TelemetryRow(1, "e1", b"\x02 of a newer version"))
    ledger.add(Sample(1, 10, 1.0))
    with closing(SqliteHistory(tmp_path)) as history:
        projection = projected(ledger, history)
        projection.step()
        projection.flush()
        assert history.read(101, 0, 100).times == [10]
    assert (ledger.refused, ledger.progress) == ([1], Progress(cursor=2))


def test_a_crash_before_the_cursor_is_saved_repeats_and_skips_nothing(
    ledger: MemoryLedger, tmp_path: Path
) -> None:
    ledger.add(Sample(1, 10, 1.0), Sample(1, 20, 2.0))
    with closing(SqliteHistory(tmp_path)) as history:
        projection = projected(ledger, history)
        projection.step()
        projection.flush()
        ledger.progress = replace(ledger.progress, cursor=0)
        ledger.add(Sample(1, 30, 3.0))

        again = projected(ledger, history)
        again.step()
        again.flush()

        assert history.read(101, 0, 100).times == [10, 20, 30]


def test_a_history_that_is_away_costs_nothing_but_time(ledger: MemoryLedger, tmp_path: Path) -> None:
    import threading

    ledger.add(Sample(1, 10, 1.0))
    with closing(FailingHistory(tmp_path)) as history:
        history.failing = True
        projection = Projection(ledger, history, elapsed=lambda: 0.0, gather_samples=1)
        stop = threading.Event()
        worker = threading.Thread(target=projection.run, args=(stop, 0.01))
        worker.start()
        while projection.failures < 2:
            stop.wait(0.005)
        assert ledger.progress.cursor == 0
        history.failing = False
        while ledger.progress.cursor < 1:
            stop.wait(0.005)
        stop.set()
        worker.join()

        assert history.read(101, 0, 100).values == [1.0]
