"""A remaining life alone opens a case: when it is short, once, and not again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from cloud.hub import Hub
from cloud.maintenance import cases
from cloud.maintenance.case import Case, Step, Verdict
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.prognosis import HOUR
from cloud.maintenance.rul import lives
from cloud.maintenance.rul.foresight import from_model
from cloud.maintenance.rul.life_cases import LONGER, LifeCases, evidence
from cloud.maintenance.rul.lives import Kept, LifeState, RemainingLife
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.lifecycles import CaseEvent, CaseState
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.model import Contribution, Prognoser
from protocols.prognostics.rows import Row, RowKind
from tests.cloud.maintenance.rul import signed

DAY = 24 * HOUR
START = 1_790_000_000_000_000
PROGNOSER = Prognoser(signed.model())
WITHIN = 24.0
"""Hours that the maintenance is planned ahead; a row is an hour."""


@dataclass(slots=True)
class Machine:
    """A machine whose model tells what the test says, and the service that looks at it."""

    database: Database
    part: LifeCases
    ns: list[int]
    since: int = 0

    @property
    def now(self) -> int:
        """µs UTC."""
        return self.ns[0] // 1000

    @now.setter
    def now(self, ts: int) -> None:
        self.ns[0] = ts * 1000

    async def tells(self, *lowers: float) -> list[Case]:
        """One row an hour with these least lives, looked at after each; the cases there are then."""
        for lower in lowers:
            self.now += HOUR
            line = self._line(lower)
            life = RemainingLife(
                "a1", "m1", "v1", "press", "h", 125.0, 0.9, RowKind(every=3600.0), self.since, 10, self.now,
                self.now, lower + 10, lower, lower + 30, LifeState.SCORED,
            )  # fmt: skip
            await self.database.run(partial(_told, line, life))
            await self.part.look()
        return await self.database.query(cases.cases)

    def _line(self, lower: float) -> Lifeline:
        with self.database.read() as tx:
            stretch = lives.newest(tx, "a1", "v1", self.since)
        line = Lifeline(PROGNOSER, stretch)
        line.take(Row(self.now, (1000.0, 1.0, 50.0, 5.0), 0, 0.0))
        line.stretch.scores[-1] = replace(line.stretch.scores[-1], regime=0, lower=lower)
        return line

    async def close(self, verdict: Verdict) -> None:
        """A person judges the newest case."""
        (newest, *_) = await self.database.query(cases.cases)
        self.now += 1
        step = Step(CaseEvent.CLOSE, "ann", self.now, verdict=verdict)
        await self.database.run(lambda tx: cases.step(tx, newest.id, step))


def _told(line: Lifeline, life: RemainingLife, tx: Connection) -> None:
    lives.keep(tx, [Kept(life.asset, life.version, life.since, line.stretch)])
    lives.show(tx, [life])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as database:
        database.create_all()
        ns = [START * 1000]
        clock = Clock(lambda: ns[0], lambda: ns[0])
        part = LifeCases(
            database, Hub(), clock, Limits(), "wear", lambda _device: WITHIN, lambda: {"v1": PROGNOSER}
        )
        yield Machine(database, part, ns)


async def test_a_short_life_opens_one_case_with_the_models_evidence_though_health_is_good(
    machine: Machine,
) -> None:
    assert await machine.tells(60, 50, 40, 30) == []
    assert await machine.tells(23, 22, 21) == [], "three of five are too few"
    (case,) = await machine.tells(20)
    assert (case.asset, case.mode, case.state, case.health) == ("a1", "wear", CaseState.OPEN, 100.0)
    assert "20 h of work are left at the least, fewer than the 24 h" in case.summary
    assert case.evidence
    assert from_model(case)
    assert len(await machine.tells(19, 18, 17, 16, 15, 14)) == 1, "it is open"


async def test_a_life_that_goes_up_and_down_about_the_bound_opens_none(machine: Machine) -> None:
    assert await machine.tells(*[23, 26, 23, 26, 22, 27] * 4) == []


async def test_after_a_verdict_it_opens_again_only_when_the_life_was_longer_meanwhile(
    machine: Machine,
) -> None:
    await machine.tells(20, 19, 18, 17)
    await machine.close(Verdict.OTHER)
    assert len(await machine.tells(*[16] * 8)) == 1, "nothing has changed"
    assert len(await machine.tells(*[WITHIN * LONGER + 1] * 2, *[15] * 5)) == 2


async def test_a_machine_as_new_is_another_matter(machine: Machine) -> None:
    await machine.tells(20, 19, 18, 17)
    await machine.close(Verdict.OTHER)
    machine.since = machine.now + 1
    assert len(await machine.tells(*[16] * 5)) == 2


async def test_a_false_alarm_uses_up_the_budget_of_ten_months(machine: Machine) -> None:
    await machine.tells(20, 19, 18, 17)
    await machine.close(Verdict.FALSE_ALARM)
    machine.since = machine.now + 1
    assert len(await machine.tells(*[16] * 6)) == 1
    machine.now += 301 * DAY
    assert len(await machine.tells(*[15] * 6)) == 2


async def test_a_case_of_the_health_is_the_one_of_the_mode(machine: Machine) -> None:
    known = Case("c1", "a1", "m1", "wear", CaseState.OPEN, START, START, 40.0, "it shakes", ())
    await machine.database.run(lambda tx: cases.open_case(tx, known))
    assert [case.id for case in await machine.tells(20, 19, 18, 17, 16)] == ["c1"]


async def test_a_frozen_life_says_nothing(machine: Machine) -> None:
    await machine.tells(60, 20, 19, 18)
    life = (await machine.database.query(lives.lives))["a1"]
    frozen = replace(life, state=LifeState.FROZEN, judged=life.judged + HOUR, lower=5.0)
    await machine.database.run(lambda tx: lives.show(tx, [frozen]))
    await machine.part.look()
    assert await machine.database.query(cases.cases) == []


def test_evidence_is_what_shortens_the_life_most_first() -> None:
    nan = float("nan")
    found = evidence(
        "m1",
        [
            Contribution("a", -5.0, 1.0, 0.0),
            Contribution("b", 9.0, 2.0, 0.0),
            Contribution("c", -15.0, 4.0, 1.0),
            Contribution("d", -40.0, nan, 0.0),
        ],
    )
    assert [(one.tag, one.deviation, one.contribution) for one in found] == [
        ("m1/c", 3.0, 0.75),
        ("m1/a", 1.0, 0.25),
    ]
