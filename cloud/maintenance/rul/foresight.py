"""The remaining life of a case's asset by its active model, in operating hours; and what speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR
from cloud.maintenance.foresight import Foresight, operating_hours
from cloud.maintenance.prognosis import HOUR, Prognosis
from cloud.maintenance.rul import lives
from cloud.maintenance.rul.lives import RemainingLife, ScoredRow
from cloud.maintenance.work_order import BoundFrom, Foreseen
from protocols.prognostics.lifeline import replayed
from protocols.prognostics.model import Contribution, Prognoser

PACED_BY = 100
"""Newest rows by whose distance a row of a counter is turned into hours."""
FEWEST_ROWS = 5
BY_MODEL = "by its model"
"""Stands for the regime of evidence that a model gave, whose values are in spreads of their own regimes."""


def by_model() -> Foresight:
    """From what the active model said last, less the hours worked since. While it is frozen that goes on.

    Nothing is foreseen of a sensor that cannot be believed, before the first score, and while too few rows
    of a counter have come to tell how long one takes.
    """

    def foresee(tx: Connection, case: Case, now: int) -> Foreseen | None:
        if case.mode == SENSOR:
            return None
        life = lives.lives(tx, case.asset).get(case.asset)
        found = hours(tx, life, now) if life is not None else None
        return None if found is None else Foreseen(found, BoundFrom.RUL)

    return foresee


def hours(tx: Connection, life: RemainingLife, now: int) -> Prognosis | None:
    """A remaining life in operating hours from now on; None where it cannot be told."""
    if life.life is None or life.lower is None:
        return None
    a_row = hours_of_a_row(tx, life)
    if a_row is None:
        return None
    since = worked(tx, life.device, life.judged, now)

    def left(rows: float) -> float:
        return max(0.0, rows * a_row - since)

    upper = None if life.upper is None else left(life.upper)
    return Prognosis(left(life.lower), left(life.life), upper)


def hours_of_a_row(tx: Connection, life: RemainingLife) -> float | None:
    """Operating hours that a row of a machine takes; None where that cannot be told yet."""
    if not life.row.counter:
        return life.row.every / 3600.0
    newest = lives.scored_rows(tx, life.asset, life.version, PACED_BY)
    return pace(tx, life.device, [row for row in newest if row.end > life.since])


def from_model(case: Case) -> bool:
    """Whether a life alone opened a case: its evidence is that of the model."""
    return any(item.regime == BY_MODEL for item in case.evidence)


def pace(tx: Connection, device: str, rows: Sequence[ScoredRow]) -> float | None:
    """Operating hours that a row of a counter takes, by the newest of them; None for too few."""
    if len(rows) < FEWEST_ROWS:
        return None
    return worked(tx, device, rows[0].end, rows[-1].end) / sum(1 + row.missed for row in rows[1:])


def worked(tx: Connection, device: str, start: int, end: int) -> float:
    """Operating hours between two times; all hours of a machine that tells no states."""
    return operating_hours(tx, device, start, end)(end) or max(0, end - start) / HOUR


def evidence(tx: Connection, life: RemainingLife, prognoser: Prognoser, most: int = 3) -> list[Contribution]:
    """The signals that move the life most, as the newest stored row has them; nothing before the first."""
    stretch = lives.newest(tx, life.asset, life.version, life.since)
    if stretch is None or not stretch.rows:
        return []
    _, history = replayed(prognoser, stretch)
    return prognoser.evidence(history, most)
