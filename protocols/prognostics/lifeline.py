"""The scores of one asset under one model, row by row, and what is stored of them.

A *stretch* holds what was remembered of the asset before its rows, the rows themselves and the score given
after each. It can be scored again, anywhere and at any time, to the last bit; that is also how scoring goes
on after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocols.prognostics.features import History
from protocols.prognostics.model import Model, Prognoser, Prognosis
from protocols.prognostics.rows import Row

LENGTH = 64
"""Rows of a stretch: what is scored again after a restart, and written again with every row."""
UNSEEN = -1
"""Regime of a row that no regime of the model claims."""


class Score(msgspec.Struct, frozen=True, array_like=True):
    """What the model said after a row: the regime it was made in, the life and its bounds in the model's
    unit. ``upper`` is None beyond the horizon. In an unseen regime nothing was judged: the numbers are those
    of an asset that aged by a row.
    """

    regime: int
    life: float
    lower: float
    upper: float | None

    @property
    def seen(self) -> bool:
        """Whether the model knows the regime."""
        return self.regime != UNSEEN

    @property
    def prognosis(self) -> Prognosis:
        """The life alone."""
        return Prognosis(self.life, self.lower, self.upper)


class Stretch(msgspec.Struct):
    """``history`` is what was remembered before ``rows``; ``scores`` has one entry a row."""

    history: History
    rows: list[Row] = []
    scores: list[Score] = []

    @property
    def first(self) -> int:
        """Age of the asset before its rows."""
        return self.history.age


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Stretch).decode
_history = msgspec.msgpack.Decoder(History).decode


def packed(stretch: Stretch) -> bytes:
    """A stretch for a store."""
    return _encode(stretch)


def unpacked(data: bytes) -> Stretch:
    """A stored stretch; raises msgspec.DecodeError."""
    return _decode(data)


def asked(model: Model) -> tuple[str, ...]:
    """The names of a model's tags in the order of a row: conditions, then signals."""
    return model.conditions + model.signals


def scored(prognoser: Prognoser, history: History, row: Row) -> Score:
    """Add a row to what is remembered; what the model says then."""
    conditions = len(prognoser.model.conditions)
    for _ in range(row.missed):
        prognoser.miss(history)
    regime = prognoser.take(history, row.values[:conditions], row.values[conditions:])
    found = prognoser.prognosis(history)
    return Score(UNSEEN if regime is None else regime, found.life, found.lower, found.upper)


def replayed(prognoser: Prognoser, stretch: Stretch) -> tuple[list[Score], History]:
    """The scores of a stretch worked out again, and what is remembered after it."""
    history = _copied(stretch.history)
    return [scored(prognoser, history, row) for row in stretch.rows], history


class Lifeline:
    """Scores one asset under one model and keeps the stretch it is in."""

    def __init__(self, prognoser: Prognoser, stretch: Stretch | None = None) -> None:
        self.prognoser = prognoser
        self.stretch = stretch or Stretch(prognoser.new())
        self.done: list[Stretch] = []
        """Stretches that are full; whoever stores them takes them away."""
        _, self.history = replayed(prognoser, self.stretch)

    @property
    def last(self) -> tuple[Row, Score] | None:
        """The newest row and its score; None before the first of the stretch."""
        return (self.stretch.rows[-1], self.stretch.scores[-1]) if self.stretch.rows else None

    def take(self, row: Row) -> Score:
        """Score a row."""
        if len(self.stretch.rows) >= LENGTH:
            self.done.append(self.stretch)
            self.stretch = Stretch(_copied(self.history))
        score = scored(self.prognoser, self.history, row)
        self.stretch.rows.append(row)
        self.stretch.scores.append(score)
        return score

    def with_done(self, done: Sequence[Stretch]) -> Lifeline:
        """The same, with stretches before it that nobody has taken yet."""
        self.done = [*done, *self.done]
        return self

    def rewound(self, ts: int) -> Lifeline:
        """The same as it was before the rows that stand at ``ts`` (µs UTC) or later, of this stretch."""
        kept = sum(row.end < ts for row in self.stretch.rows)
        stretch = Stretch(self.stretch.history, self.stretch.rows[:kept], self.stretch.scores[:kept])
        return Lifeline(self.prognoser, stretch)


def newest_judged(rows: Sequence[Row], scores: Sequence[Score]) -> tuple[Row, Score] | None:
    """The newest row in a regime that the model knows, with its score."""
    pairs = zip(reversed(rows), reversed(scores), strict=True)
    return next(((row, score) for row, score in pairs if score.seen), None)


def _copied(history: History) -> History:
    return _history(_encode(history))
