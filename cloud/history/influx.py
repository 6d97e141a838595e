"""History in InfluxDB: line protocol for writing, InfluxQL over ``/query`` for reading.

Writing speaks ``/api/v2/write`` (InfluxDB 2, VictoriaMetrics) or ``/write`` (InfluxDB 1.x); reading uses
InfluxQL, which InfluxDB 1.x and 2.x both answer. Lines are built by influxdb-client. One measurement;
the tag id is an Influx tag; numbers, integers, booleans and texts are fields of their own, so that a changed
type never conflicts with what is stored, and so are the digits of numbers that InfluxDB has no type for.

What the server has read and will never take (older than its retention, say) is logged and left out: it stays
in the ledger, and the rest of the factory's samples does not wait behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx
import structlog

from cloud.history.port import Series
from protocols.values import Value

log = structlog.get_logger(__name__)

_LINES_A_REQUEST = 5_000
_NEVER = ("partial write", "beyond retention", "outside retention")
"""How an answer 400 or 422 speaks of lines that were read and that no repetition will bring in: the other
lines of the request are stored."""


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
            SELECT number, integer, flag, text, digits, quality FROM "{self._settings.measurement}"
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
        answer = self._http.post(path, params=params, content=body)
        if answer.status_code in (400, 422) and any(words in answer.text for words in _NEVER):
            log.warning(
                "history.refused_for_good",
                server=str(answer.request.url.copy_with(query=None)),
                lines=len(lines),
                answer=answer.text[:200].strip(),
                next="the ledger keeps them for its retention; keep more in the server, or less there",
            )
            return
        self._checked(answer)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise HistoryRefusedError(
                f"{answer.request.url} answered {answer.status_code}: {answer.text[:200].strip()}"
            )
        return answer

    @staticmethod
    def _take(series: Series, row: list[Any]) -> None:
        ts, number, integer, flag, text, digits, quality = row
        exact = None if digits is None else _number(digits)
        found: list[Value] = [value for value in (number, integer, flag, text, exact) if value is not None]
        value = found[0] if found else None
        if value == "" and quality:
            value = None
        if quality:
            series.qualities[len(series.times)] = int(quality)
        if number is not None and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        series.times.append(int(ts))
        series.values.append(value)


def _number(digits: str) -> int | float:
    """The number that :func:`_field` wrote as digits."""
    return int(digits) if digits.lstrip("-").isdecimal() else float(digits)


def _field(value: Value) -> tuple[str, bool | int | float | str]:
    """Field name and what to store; a missing value is an empty text beside its bad quality."""
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int):
        return ("integer", value) if -(2**63) <= value < 2**63 else ("digits", str(value))
    if isinstance(value, float):
        return ("number", value) if math.isfinite(value) else ("digits", repr(value))
    return "text", value or ""
