"""How long a search may take, who hears of its plans, and how it is stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cloud.dispatching.shop.schedule import Schedule

OnSolution = Callable[[Schedule], None]
"""Called with each better plan, from the solver's thread."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how to search. In deterministic mode ``seconds`` is CP-SAT's deterministic time."""

    seconds: float
    workers: int = 8
    """Of the solver; with 0 there is none, and the search over lists has all of the time."""
    deterministic: bool = False
    seed: int = 0
    gap: float = 0.0
    """Distance of cost and bound at which a proof is near enough."""
    work: float = math.inf
    """Deterministic time after which to stop in either mode."""
    quick: bool = False
    """Without what pays only in a long search (probing, linear relaxation)."""


class Stop:
    """Asks a running solve to end; :meth:`request` may be called from any thread, before or during it."""

    def __init__(self) -> None:
        self.requested = False
        self._stop: Callable[[], None] | None = None

    def request(self) -> None:
        self.requested = True
        if self._stop is not None:
            self._stop()

    def attach(self, stop: Callable[[], None]) -> None:
        """Let :meth:`request` call ``stop``; the solver attaches itself."""
        self._stop = stop
