"""What a sheet is made of: lines, tables whose rows lead to other sheets, and what may be done there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.dispatching.asking.forecast import OrderForecast
from cloud.maintenance.desk import CaseDesk
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago, clock_words
from protocols.site import Site
from protocols.values import MICROSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; ``opens`` is the address of the sheet below it. ``late`` is shown as such."""

    cells: tuple[str, ...]
    opens: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading; ``nothing`` is said where there are none."""

    heading: str
    heads: tuple[str, ...]
    rows: Sequence[Row]
    nothing: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown. ``acts`` are (name in ``cloud.web.acts``, target) that a supervisor may do here;
    ``picture`` is SVG, whose words are escaped."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    acts: tuple[tuple[str, str], ...] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Teller:
    """What is needed to put something into words: whose times and places, when, and in which language."""

    site: Site
    now: int
    say: Speech = ENGLISH

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.calendar.timezone)

    def time(self, ts: int | None) -> str:
        return clock_words(ts, self.now, self.zone)

    def moment(self, when: datetime) -> str:
        return self.time((when - _EPOCH) // timedelta(microseconds=1))

    def title(self, workcell: str | None) -> str:
        cell = self.site.workcells().get(workcell or "")
        return self.say.title(cell) if cell is not None else workcell or "–"

    def since(self, ts: int) -> str:
        return ago(max(0, self.now - ts) / MICROSECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader(Teller):
    """One reading transaction with what is needed to put it into words."""

    tx: Connection
    forecasts: Mapping[str, OrderForecast] = field(default_factory=dict)
    desk: CaseDesk | None = None
    """Knows what is foreseen of machines."""
