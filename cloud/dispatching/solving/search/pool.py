"""Many tabu searches one after the other, each from between two good plans (after Peng, Lü & Cheng 2015).

A small pool keeps the best and unlike plans. A child lies between two of them: each activity takes its
machine from either, and all stand in the order of a weighted mean of when they are done in both. What comes
before what in both parents, on a machine or in a routing, does so in the child, so it has no cycle. A child
is improved by tabu search and takes the place of the worst.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from cloud.dispatching.solving.search import columns as k
from cloud.dispatching.solving.search.arrays import Code, Facts, Ints
from cloud.dispatching.solving.search.tabu import Tabu

SIZE = 12
"""Plans in the pool."""

PATIENCE = 1_500
"""Moves without a better plan after which a tabu search ends where machines can be chosen."""

PATIENCE_IN_ORDER = 6_000
"""The same where only the order is open: there a child needs longer to become good. Over 2 million moves on
five instances of Taillard (15 × 15) the mean gap was 0.64 % with 1,500 and 0.42 % with 6,000."""

BARREN = 8 * SIZE
"""Searches in a row that bring nothing into the pool, after which it is filled anew."""

KEEP = 0.5
"""How often the best plan is in the new pool."""

PORTION = 400_000
"""Activities × moves between two looks at the clock: some hundredths of a second."""

SCALE = 1024
"""Steps in which the place between two parents is drawn."""

ALIKE = 0.01
"""Difference below which two plans of the same makespan count as one."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A plan with what is needed to mix it: heads and tails by activity, the position in its order."""

    code: Code
    head: Ints
    tail: Ints
    position: Ints
    makespan: int


class Pool:
    """The whole search; :meth:`step` makes some moves. The same seed gives the same plans."""

    def __init__(self, given: Facts, start: Code, target: int, seed: int = 0) -> None:
        n, m = len(given.activities), len(given.stations)
        self.given = given
        self.target = target
        self.rng = random.Random(seed)
        self.tabu = Tabu(given, seed)
        self.tenure = 10 + n // (4 * m)
        self.reach = max(8, min(n, 20_000 // n))
        self.portion = max(20, PORTION // n)
        self.patience = PATIENCE if len(given.options) > n else PATIENCE_IN_ORDER
        self.members: list[Member] = []
        self.best: Member | None = None
        self.started = 0
        self._adopted: Code | None = None
        self._to_fill = SIZE - 1
        self._barren = 0
        self._begin(start)

    @property
    def moves(self) -> int:
        """Made in all."""
        return self.tabu.moves

    @property
    def makespan(self) -> int:
        """Of the best plan so far; valid after the first :meth:`step`."""
        return self.tabu.makespan if self.best is None else self.best.makespan

    @property
    def done(self) -> bool:
        """Whether the target is reached: nothing better exists."""
        return self.best is not None and self.best.makespan <= self.target

    def step(self) -> bool:
        """One portion of moves; whether a better plan than all before was found."""
        made = self.tabu.run(self.portion, self.patience, self.target, self.tenure, self.reach)
        better = self.best is None or self.tabu.makespan < self.best.makespan
        if better:
            self.best = self._member()
        if made < self.portion:
            self._end(self._member())
            self._begin(self._next())
        return better

    def adopt(self, code: Code) -> None:
        """Let the next tabu search begin from a plan found elsewhere."""
        self._adopted = code

    def _begin(self, code: Code) -> None:
        self.started += 1
        self.tabu.load(code)

    def _member(self) -> Member:
        code = self.tabu.best
        position = np.empty_like(code.order)
        position[code.order] = np.arange(len(position))
        return Member(code, self.tabu.best_heads, self.tabu.best_tails, position, self.tabu.makespan)

    def _end(self, member: Member) -> None:
        """Take a searched plan into the pool if it is good and unlike the others."""
        self._barren = 0 if self._take(member) else self._barren + 1
        if self._barren > BARREN:
            self._barren, self._to_fill = 0, SIZE
            # Now and then the best plan may help a new pool; always, it would make the same of it again.
            keeps = self.best is not None and self.rng.random() < KEEP
            self.members = [self.best] if keeps and self.best is not None else []

    def _take(self, member: Member) -> bool:
        for at, other in enumerate(self.members):
            if self._unlike(member, other) < ALIKE:
                if member.makespan < other.makespan:
                    self.members[at] = member
                return member.makespan < other.makespan
        self.members.append(member)
        if len(self.members) <= SIZE:
            return True
        worst = max(self.members, key=lambda one: one.makespan)
        self.members.remove(worst)
        return worst is not member

    def _unlike(self, one: Member, other: Member) -> float:
        shifts = np.abs(one.head - other.head).mean() / max(1, one.makespan)
        return float(np.count_nonzero(one.code.option != other.code.option) / len(one.head) + shifts)

    def _next(self) -> Code:
        if self._adopted is not None:
            code, self._adopted = self._adopted, None
            return code
        if self._to_fill > 0 or len(self.members) < 2:
            self._to_fill -= 1
            return self._random()
        one, other = self.rng.sample(self.members, 2)
        return self._between(one, other)

    def _between(self, one: Member, other: Member) -> Code:
        part = self.rng.randrange(SCALE // 4, SCALE * 3 // 4)
        keys = self._keys(one) * (SCALE - part) + self._keys(other) * part
        ties = one.position * (SCALE - part) + other.position * part
        share = part / SCALE
        draws = np.array([self.rng.random() for _ in range(len(keys))])
        option = np.where(draws < share, other.code.option, one.code.option)
        return Code(option, np.lexsort((ties, keys)))

    def _keys(self, member: Member) -> Ints:
        """By activity something between its earliest and latest start; it never falls along a path."""
        part = self.rng.randrange(SCALE + 1)
        seconds = self.given.options[member.code.option, k.O_SECONDS]
        latest = member.makespan - member.tail - seconds
        keys: Ints = (member.head * (SCALE - part) + latest * part) // SCALE
        return keys

    def _random(self) -> Code:
        """Any plan: machines at random among the quicker ones, any order that keeps the routings."""
        a, o, e = self.given.activities, self.given.options, self.given.arcs
        n = len(a)
        option = np.empty(n, dtype=np.int64)
        waits = (a[:, k.BEFORE_END] - a[:, k.BEFORE_AT]).tolist()
        for v in range(n):
            choices = list(range(int(a[v, k.OPTION_AT]), int(a[v, k.OPTION_END])))
            least = min(int(o[c, k.O_SECONDS]) for c in choices)
            option[v] = self.rng.choice([c for c in choices if int(o[c, k.O_SECONDS]) <= 1.3 * least])
        ready = [v for v in range(n) if not waits[v]]
        order: list[int] = []
        while ready:
            at = self.rng.randrange(len(ready))
            ready[at], ready[-1] = ready[-1], ready[at]
            v = ready.pop()
            order.append(v)
            for arc in range(int(a[v, k.AFTER_AT]), int(a[v, k.AFTER_END])):
                w = int(e[arc, k.OTHER])
                waits[w] -= 1
                if not waits[w]:
                    ready.append(w)
        return Code(option, np.array(order, dtype=np.int64))
