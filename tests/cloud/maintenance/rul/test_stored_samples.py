"""The history of an asset, read in spans that fit into the memory, gives every sample once and in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.history.port import Series
from cloud.history.sqlite import SqliteHistory
from cloud.maintenance.rul import stored_samples
from protocols.values import MICROSECONDS, Quality

START = 1_790_000_000 * MICROSECONDS


def test_every_sample_comes_once_in_the_order_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_samples, "AT_ONCE", 30)
    monkeypatch.setattr(stored_samples, "FEWEST", 10)
    history = SqliteHistory(tmp_path)
    try:
        fast = [START + n * MICROSECONDS for n in range(100)]
        slow = [START + n * 17 * MICROSECONDS for n in range(6)]
        history.write({1: Series(fast, [float(n) for n in range(100)]), 2: Series(slow, [1.0] * 6)})
        history.write({3: Series([START + 5], [None], {0: Quality.BAD})})
        spans = [
            *stored_samples.told(history, {"fast": 1, "slow": 2, "bad": 3}, START, START + 90 * MICROSECONDS)
        ]
        nothing = [*stored_samples.told(history, {"none": 9}, 0, START)]
    finally:
        history.close()
    whole = [one for span in spans for one in span]
    assert len(spans) > 5
    assert max(map(len, spans)) <= 30
    assert [ts for _, ts, _, _ in whole] == sorted(ts for _, ts, _, _ in whole)
    assert [ts for name, ts, _, _ in whole if name == "fast"] == fast[:90]
    assert [ts for name, ts, _, _ in whole if name == "slow"] == slow
    assert ("bad", START + 5, None, int(Quality.BAD)) in whole
    assert nothing == [[]]
