"""What the verdicts teach: labels for a later training, the age of assets, and how often alarms are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, select

from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.cases import cases
from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.tables import CASE
from protocols.lifecycles import CaseState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_CASES = 100_000


class Label(msgspec.Struct, frozen=True):
    """A verdict with the span of data (µs UTC) whose features led to the case.

    ``failure``: it counts as one, at ``end``; false alarms and other findings do not. ``repaired`` is when
    the machine was given back after the repair, None where nothing was done to it.
    """

    case: str
    asset: str
    device: str
    mode: str
    start: int
    end: int
    verdict: Verdict
    failure: bool
    cause: str
    found: str
    evidence: tuple[Evidence, ...]
    repaired: int | None


class Month(msgspec.Struct, frozen=True):
    """The cases that were opened in one month (``YYYY-MM``, local time of the site).

    ``precision`` is the share of true ones among those judged true or false; None where there are none yet.
    """

    month: str
    opened: int
    true: int
    false_alarms: int
    other: int
    unjudged: int
    precision: float | None


def labels(tx: Connection, asset: str = "") -> list[Label]:
    """Every verdict, oldest first; those of one asset where it is named."""
    found = [case for case in cases(tx, limit=MOST_CASES) if case.verdict is not None]
    return [label(case) for case in reversed(found) if asset in ("", case.asset)]


def label(case: Case) -> Label:
    """The label that a judged case is; raises ValueError where nobody has judged it."""
    if case.verdict is None:
        raise ValueError(f"case {case.id} is {case.state}: it has no verdict yet")
    return Label(
        case=case.id,
        asset=case.asset,
        device=case.device,
        mode=case.mode,
        start=case.evidence_from,
        end=case.opened,
        verdict=case.verdict,
        failure=case.verdict is Verdict.TRUE,
        cause=case.cause,
        found=case.found,
        evidence=case.evidence,
        repaired=case.ended if case.verdict is not Verdict.FALSE_ALARM else None,
    )


def renewed(tx: Connection) -> dict[str, int]:
    """When each asset was last repaired (µs UTC): its age counts from then on. A machine that was looked at
    because of a false alarm is as old as it was.
    """
    done = CASE.c.ended.is_not(None) & CASE.c.state.in_([CaseState.DONE, CaseState.CLOSED])
    repaired = CASE.c.verdict.is_(None) | (CASE.c.verdict != Verdict.FALSE_ALARM)
    query = select(CASE.c.asset, CASE.c.ended).where(done, repaired).order_by(CASE.c.ended)
    return dict(tx.execute(query).tuples().all())


def by_month(found: Iterable[Case], zone: ZoneInfo) -> list[Month]:
    """How often the cases of each month were true, newest month first."""
    months: dict[str, list[Case]] = {}
    for case in found:
        opened = (_EPOCH + timedelta(microseconds=case.opened)).astimezone(zone)
        months.setdefault(f"{opened:%Y-%m}", []).append(case)
    return [_month(name, months[name]) for name in sorted(months, reverse=True)]


def _month(name: str, found: Sequence[Case]) -> Month:
    def count(verdict: Verdict | None) -> int:
        return sum(case.verdict is verdict for case in found)

    true, false = count(Verdict.TRUE), count(Verdict.FALSE_ALARM)
    return Month(
        month=name,
        opened=len(found),
        true=true,
        false_alarms=false,
        other=count(Verdict.OTHER),
        unjudged=count(None),
        precision=true / (true + false) if true + false else None,
    )
