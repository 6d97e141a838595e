"""The test-suite's servers are tested too: a broken fixture must not look like a broken product."""

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psycopg
import pytest

from tests.servers import (
    InfluxServer,
    MosquittoServer,
    OpenBrowser,
    PostgresServer,
    VictoriaMetricsServer,
    require,
)


def _http(url: str, body: str | None = None) -> str:
    data = body.encode() if body is not None else None
    with urllib.request.urlopen(url, data=data, timeout=5) as reply:  # noqa: S310 - loopback only
        text: str = reply.read().decode()
        return text


@pytest.mark.needs("mosquitto")
def test_a_broker_comes_back_on_its_port_after_kill(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path) as broker:
        port, first = broker.port, broker.pid
        broker.kill()
        with pytest.raises(OSError):
            broker.is_ready()
        broker.start()
        assert (broker.port, broker.is_ready()) == (port, True)
        assert broker.pid != first


@pytest.mark.needs("mosquitto")
def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no_such_option"):
        MosquittoServer(tmp_path, "no_such_option true").start()


def test_the_shared_broker_answers(mosquitto: MosquittoServer) -> None:
    assert mosquitto.is_ready()


def test_each_postgres_database_is_empty_and_its_own(postgres: PostgresServer) -> None:
    for _ in range(2):
        with postgres.database() as url:
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                connection.execute("CREATE TABLE here_only (x int)")
            assert f":{postgres.port}/" in url


def test_influxdb_keeps_what_is_written(influxdb: InfluxServer) -> None:
    _http(f"{influxdb.url}/query?q=CREATE+DATABASE+house", "")
    _http(f"{influxdb.url}/write?db=house&precision=u", "load value=0.5 1700000000000000")
    query = urllib.parse.urlencode({"db": "house", "q": "SELECT value FROM load", "epoch": "u"})
    series = json.loads(_http(f"{influxdb.url}/query?{query}"))["results"][0]["series"]
    assert series[0]["values"] == [[1700000000000000, 0.5]]


def test_victoriametrics_keeps_a_v2_write(victoriametrics: VictoriaMetricsServer) -> None:
    now_ns = time.time_ns()
    _http(f"{victoriametrics.url}/api/v2/write", f"house_load value=0.5 {now_ns}")
    deadline = time.monotonic() + 20
    exported = ""
    while not exported and time.monotonic() < deadline:
        victoriametrics.flush()
        exported = _http(f"{victoriametrics.url}/api/v1/export?match[]=house_load_value")
    assert json.loads(exported)["values"] == [0.5]


async def test_chromium_opens_a_page(chromium: OpenBrowser) -> None:
    async with chromium() as browser:
        page = await browser.new_page()
        await page.set_content("<title>OneLot</title>")
        assert await page.title() == "OneLot"


def test_a_missing_server_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.find_program", lambda _name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Debian package: mosquitto"):
        require("mosquitto")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI is set"):
        require("mosquitto")
