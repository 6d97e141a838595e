"""One body of tests for every adapter behind the history port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.history.influx import HistoryRefusedError, InfluxHistory, InfluxSettings
from cloud.history.port import History, Series
from cloud.history.sqlite import SqliteHistory
from protocols.values import MICROSECONDS, Quality

START = 1_790_000_000 * MICROSECONDS
STEP = 100_000


@pytest.fixture(params=["sqlite", "influx"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    store: History
    if request.param == "sqlite":
        store = SqliteHistory(tmp_path)
    else:
        server = request.getfixturevalue("influxdb")
        store = InfluxHistory(InfluxSettings(server.url, database=f"t{abs(hash(tmp_path))}", api="v1"))
        store.prepare()
    yield store
    store.close()


def series(values: list[bool | int | float | str | None], start: int = START) -> Series:
    return Series([start + row * STEP for row in range(len(values))], values)


@pytest.mark.parametrize(
    "values",
    [
        [1.5, -2.25, 1e300, 0.0],
        [0, 1, -(2**40), 2**62],
        [0, 2**63, 2**64 - 1],
        [1.5, float("inf"), float("-inf"), 2.5],
        [True, False, True],
        ["RAL 5010", 'quote " comma , space', "蓝色", "line\nbreak", "C:\\", "", " "],
        ["x" * 4096],
        [1.5, 2, True, "mixed"],
    ],
)
def test_what_is_written_is_read_back(
    history: History, values: list[bool | int | float | str | None]
) -> None:
    history.write({7: series(values)})

    back = history.read(7, START, START + 10 * MICROSECONDS)

    assert back.values == values
    assert [type(value) for value in back.values] == [type(value) for value in values]
    assert back.times == [START + row * STEP for row in range(len(values))]


def test_quality_travels_and_a_missing_value_stays_missing(history: History) -> None:
    written = series([1.0, None, 3.0])
    written.qualities = {1: Quality.BAD, 2: Quality.UNCERTAIN}

    history.write({7: written})

    back = history.read(7, START, START + MICROSECONDS)
    assert back.values == [1.0, None, 3.0]
    assert [back.quality(row) for row in range(3)] == [Quality.GOOD, Quality.BAD, Quality.UNCERTAIN]


def test_a_repeated_write_changes_nothing(history: History) -> None:
    history.write({7: series([1.0, 2.0])})
    history.write({7: series([1.0, 2.0, 3.0])})

    assert history.read(7, START, START + MICROSECONDS).values == [1.0, 2.0, 3.0]


def test_late_samples_take_their_place_in_time(history: History) -> None:
    history.write({7: series([3.0, 4.0], START + 2 * STEP)})
    history.write({7: series([1.0, 2.0], START)})

    assert history.read(7, START, START + MICROSECONDS).values == [1.0, 2.0, 3.0, 4.0]


def test_reading_is_bounded_in_time_tag_and_number(history: History) -> None:
    history.write({7: series([float(row) for row in range(10)]), 8: series([99.0])})

    assert history.read(7, START + 2 * STEP, START + 5 * STEP).values == [2.0, 3.0, 4.0]
    assert history.read(7, START, START + MICROSECONDS, limit=3).values == [0.0, 1.0, 2.0]
    assert history.read(9, START, START + MICROSECONDS).values == []


def test_a_server_that_refuses_is_named_with_what_it_said(
    influxdb: object, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("influxdb").url
    store = InfluxHistory(InfluxSettings(url, database="nobody-made-this", api="v1"))
    try:
        with pytest.raises(HistoryRefusedError, match=r"/write.* answered 404: .*database not found"):
            store.write({1: series([1.0])})
    finally:
        store.close()


def test_samples_older_than_the_server_keeps_do_not_hold_up_the_others(
    influxdb: object, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """An edge that was offline for long: the server refuses its samples however often they are sent."""
    import time

    import httpx

    url = request.getfixturevalue("influxdb").url
    policy = "CREATE DATABASE short WITH DURATION 1h REPLICATION 1 NAME hour"
    httpx.post(f"{url}/query", params={"q": policy}).raise_for_status()
    now = time.time_ns() // 1000
    store = InfluxHistory(InfluxSettings(url, database="short", api="v1"))
    try:
        store.write({7: Series([now - 86_400 * MICROSECONDS, now], [1.0, 2.0])})
        assert store.read(7, 0, now + 1).values == [2.0]
    finally:
        store.close()


def test_version_2_writes_arrive(victoriametrics: object, request: pytest.FixtureRequest) -> None:
    """InfluxDB 2 itself cannot be had here: VictoriaMetrics answers the same endpoint, exported to check."""
    import json
    import time

    import httpx

    url = request.getfixturevalue("victoriametrics").url
    now = (time.time_ns() // 1_000_000) * 1000 - 60 * MICROSECONDS
    store = InfluxHistory(InfluxSettings(url, api="v2"))
    try:
        store.write({4711: series([1.5, 2.5], now)})
    finally:
        store.close()

    httpx.get(f"{url}/internal/force_flush").raise_for_status()
    exported = httpx.get(f"{url}/api/v1/export", params={"match[]": '{tag="4711"}'}).text
    lines = [json.loads(line) for line in exported.splitlines()]
    numbers = [line for line in lines if line["metric"]["__name__"] == "sample_number"]
    assert [line["values"] for line in numbers] == [[1.5, 2.5]]
    assert numbers[0]["timestamps"] == [now // 1000, (now + STEP) // 1000]
