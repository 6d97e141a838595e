"""One asset under one model while its samples come: which rows they make, and what is behind. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud.maintenance.rul.lives import LifeState, RemainingLife
from cloud.maintenance.rul.registry import ModelState
from protocols.prognostics.lifeline import Lifeline, Score, asked, newest_judged
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Assembler, Row, RowKind, assembler, wanted
from protocols.site import Device
from protocols.values import Value

STATE = ""
"""Name under which a change of the machine's state waits among its samples."""

Told = tuple[str, int, Value, int]
"""Name of the tag (or :data:`STATE`), time in µs UTC, value, quality."""


@dataclass(slots=True)
class Follower:
    """``since`` is when the life began, in µs UTC. While it is ``behind``, samples wait in ``waiting``; it
    catches up by reading the history from ``rewind`` on (None: from its last row).
    """

    device: Device
    edge: str
    version: str
    state: ModelState
    prognoser: Prognoser
    since: int
    line: Lifeline
    kind: RowKind
    behind: bool = True
    rewind: int | None = None
    stirred: float = 0.0
    """Monotonic seconds of the last sign that more may come late."""
    signs: int = 0
    """How many of them there were."""
    tries: int = 0
    awaited: int | None = None
    """Batch of the ledger that the history must have before it is read; None: not known yet."""
    waiting: list[Told] = field(default_factory=list)
    changed: bool = True
    untidy: bool = True
    """What is stored of it may reach further than its lifeline, which was taken back."""
    missing: tuple[str, ...] = ()
    """Tags that the model asks for and the machine has not."""
    rows: Assembler = field(init=False)
    judged: tuple[Row, Score] | None = field(default=None, init=False)
    """The newest row that was judged, with its score."""
    distances: list[float] = field(default_factory=list, init=False)
    """How far scores in shadow were from the active model's."""

    def __post_init__(self) -> None:
        self.go_on(self.line, self.fresh(self.line), believed=True)

    @property
    def asset(self) -> str:
        """Its id."""
        return str(self.device.asset)

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags whose samples are needed, by name."""
        return wanted(self.kind, asked(self.prognoser.model))

    def stir(self, now: float, ts: int | None = None) -> None:
        """Samples are missing, or came late from ``ts`` (µs UTC) on: work them through when no more come."""
        self.behind, self.stirred, self.tries, self.awaited = True, now, 0, None
        self.signs += 1
        if ts is not None:
            self.rewind = ts if self.rewind is None else min(ts, self.rewind)

    def go_on(self, line: Lifeline, rows: Assembler, *, believed: bool) -> None:
        """Score on from another lifeline; ``believed`` is false while a sensor cannot be."""
        self.line, self.rows, self.changed, self.untidy = line, rows, True, True
        if believed or self.judged is None:
            self.judged = newest_judged(line.stretch.rows, line.stretch.scores) or self.judged

    def fresh(self, line: Lifeline) -> Assembler:
        """An assembler that goes on after the last row of a lifeline."""
        last = line.last
        after = last[0] if last is not None else None
        return assembler(self.kind, asked(self.prognoser.model), after, self.since)

    def score(self, row: Row, *, believed: bool) -> Score:
        """Score a row; ``believed`` is false while a sensor of it cannot be."""
        score = self.line.take(row)
        self.changed = True
        if score.seen and believed:
            self.judged = (row, score)
        return score

    def life(self, faults: Sequence[tuple[str, str]]) -> RemainingLife:
        """What is shown; ``faults`` are the tags that cannot be believed, and why, in words."""
        model, last = self.prognoser.model, self.line.last
        state, says = self._state(faults)
        row, score = self.judged if self.judged is not None else (None, None)
        return RemainingLife(
            asset=self.asset,
            device=self.device.id,
            version=self.version,
            model=model.name,
            unit=model.unit,
            horizon=model.horizon,
            level=model.intervals.level,
            row=self.kind,
            since=self.since,
            age=self.line.history.age,
            row_end=last[0].end if last is not None else 0,
            judged=row.end if row is not None else 0,
            life=score.life if score is not None else None,
            lower=score.lower if score is not None else None,
            upper=score.upper if score is not None else None,
            state=state,
            says=says,
        )

    def _state(self, faults: Sequence[tuple[str, str]]) -> tuple[LifeState, str]:
        last = self.line.last
        if self.missing:
            return LifeState.FROZEN, f"the machine has no tag {', '.join(self.missing)} any more"
        if faults:
            return LifeState.FROZEN, "; ".join(f"{tag} {words}" for tag, words in faults[:3])
        if self.behind:
            return LifeState.BEHIND, "samples from before are being worked through"
        if last is None and self.judged is None:
            if self.kind.counter:
                return LifeState.WAITING, f"no new value of {self.kind.counter} has come yet"
            return LifeState.WAITING, f"the machine has not worked for {self.kind.every:g} s yet"
        if last is not None and not last[1].seen:
            return LifeState.FROZEN, "the model does not know this regime"
        return LifeState.SCORED, ""


def made(rows: Assembler, told: Sequence[Told]) -> list[Row]:
    """The rows that samples and changes of state close."""
    found: list[Row] = []
    for name, ts, value, quality in told:
        if name == STATE:
            rows.works(ts, executes=bool(value))
        else:
            found += rows.take(name, ts, value, quality)
    return found


def believable(faults: Sequence[tuple[str, str]], tags: Sequence[str], clock: str) -> list[tuple[str, str]]:
    """The faults that concern a model's tags, and those of the clock, which concern all."""
    return [(tag, words) for tag, words in faults if tag in tags or tag == clock]
