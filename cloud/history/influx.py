"""History in InfluxDB: line protocol for writing, InfluxQL over ``/query`` for reading.

Writing speaks ``/api/v2/write`` (InfluxDB 2, VictoriaMetrics) or ``/write`` (InfluxDB 1.x); reading uses
InfluxQL, which InfluxDB 1.x and 2.x both answer. Lines are built by influxdb-client. One measurement;
the tag id is an Influx tag; numbers, booleans and texts are three fields, so that a changed type never
conflicts with what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx

from cloud.history.port import Series
from protocols.values import Value

_LINES_A_REQUEST = 5_000


class HistoryRefusedError(RuntimeError):
    """The time-series server answered with an error; the text names server, status and what it said."""


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where the server is. ``api`` says how it is written to; ``database`` is the bucket in version 2."""

    url: str
    database: str = "onelot"
    api: Literal["v1", "v2"] = "v2"
    org: str = "onelot"
    token: str = ""
    measurement: str = "sample"
    timeout: float = 10.0


class InfluxHistory:
    """The other adapter behind the history port. A 2xx of the server is not durability: the ledger is."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        headers = {"Authorization": f"Token {settings.token}"} if settings.token else {}
        self._http = httpx.Client(base_url=settings.url, timeout=settings.timeout, headers=headers)

    def prepare(self) -> None:
        """Create the database (version 1; in version 2 an administrator creates the bucket)."""
        if self._settings.api == "v1":
            self._checked(
                self._http.post("/query", params={"q": f'CREATE DATABASE "{self._settings.database}"'})
            )

    def write(self, gathered: Mapping[int, Series]) -> None:
        lines: list[str] = []
        for line in self._lines(gathered):
            lines.append(line)
            if len(lines) >= _LINES_A_REQUEST:
                self._post(lines)
                lines = []
        if lines:
            self._post(lines)

    def read(self, tag: int, start: int, end: int, limit: int = 100_000) -> Series:
        # every substitution is a number or the operator's own configuration
        query = f"""
            SELECT number, integer, flag, text, quality FROM "{self._settings.measurement}"
            WHERE "tag" = '{int(tag)}' AND time >= {int(start)}u AND time < {int(end)}u
            ORDER BY time ASC LIMIT {int(limit)}
        """  # noqa: S608
        answer = self._checked(
            self._http.get("/query", params={"db": self._settings.database, "q": query, "epoch": "u"})
        )
        series = Series()
        for result in answer.json().get("results", []):
            if "error" in result:
                raise HistoryRefusedError(f"{self._settings.url} refused a query: {result['error']}")
            for table in result.get("series", []):
                for row in table["values"]:
                    self._take(series, row)
        return series

    def prune(self, before: int) -> int:
        return 0

    def compact_closed(self, now: int) -> int:
        return 0  # the server does it

    def close(self) -> None:
        self._http.close()

    def _lines(self, gathered: Mapping[int, Series]) -> Iterator[str]:
        from influxdb_client.client.write.point import Point
        from influxdb_client.domain.write_precision import WritePrecision

        for tag, series in gathered.items():
            for row, (ts, value) in enumerate(zip(series.times, series.values, strict=True)):
                name, stored = _field(value)
                yield Point.from_dict(
                    {
                        "measurement": self._settings.measurement,
                        "tags": {"tag": str(tag)},
                        "fields": {name: stored, "quality": int(series.qualities.get(row, 0))},
                        "time": ts,
                    },
                    cast(WritePrecision, WritePrecision.US),
                ).to_line_protocol()

    def _post(self, lines: list[str]) -> None:
        body = "\n".join(lines).encode()
        settings = self._settings
        if settings.api == "v1":
            path, params = "/write", {"db": settings.database, "precision": "u"}
        else:
            path, params = (
                "/api/v2/write",
                {"bucket": settings.database, "org": settings.org, "precision": "us"},
            )
        self._checked(self._http.post(path, params=params, content=body))

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise HistoryRefusedError(
                f"{answer.request.url} answered {answer.status_code}: {answer.text[:200].strip()}"
            )
        return answer

    @staticmethod
    def _take(series: Series, row: list[Any]) -> None:
        ts, number, integer, flag, text, quality = row
        found: list[Value] = [value for value in (number, integer, flag, text) if value is not None]
        value = found[0] if found else None
        if value == "" and quality:
            value = None
        if quality:
            series.qualities[len(series.times)] = int(quality)
        if number is not None and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        series.times.append(int(ts))
        series.values.append(value)


def _field(value: Value) -> tuple[str, bool | int | float | str]:
    """Field name and what to store; a missing value is an empty text beside its bad quality."""
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int):
        return "integer", value
    if isinstance(value, float):
        return "number", value
    return "text", value or ""
