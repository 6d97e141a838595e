"""Operating regimes: which one a sample belongs to, and its signals measured against what is normal there.

What a machine is doing (program, load, speed, altitude) moves its signals more than wear does. A regime is
a centre in the space of the conditions; a sample belongs to the nearest centre within reach, and to none
beyond: an unseen regime is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import msgspec

LIMIT = 50.0
"""Spreads beyond which a value is not told apart any more: a broken sensor must not drown the others."""


class Regimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Regimes of a model and the normal values of its signals in each.

    ``scale`` makes conditions comparable: a distance is measured after dividing by it. ``reach`` is the
    distance within which a centre claims a sample. ``centres`` has one row of conditions a regime, ``means``
    and ``spreads`` one row of signals a regime. Without conditions there is one regime and all belong to it.
    """

    scale: tuple[float, ...]
    reach: float
    centres: tuple[tuple[float, ...], ...]
    means: tuple[tuple[float, ...], ...]
    spreads: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.centres or not len(self.centres) == len(self.means) == len(self.spreads):
            raise ValueError("regimes: as many centres as rows of means and of spreads, at least one")
        if any(len(centre) != len(self.scale) for centre in self.centres):
            raise ValueError("regimes: a centre has not as many conditions as the scale")
        signals = len(self.means[0])
        if any(len(row) != signals for row in (*self.means, *self.spreads)):
            raise ValueError("regimes: means and spreads are not all of one length")
        if any(not spread > 0 for row in self.spreads for spread in row) or any(
            not one > 0 for one in self.scale
        ):
            raise ValueError("regimes: a spread or a scale is not above 0")

    def regime(self, conditions: Sequence[float]) -> int | None:
        """The index of the nearest regime; None beyond its reach or where a condition is missing (NaN)."""
        best, best_squares = None, self.reach * self.reach
        for number, centre in enumerate(self.centres):
            squares = 0.0
            for value, middle, scale in zip(conditions, centre, self.scale, strict=True):
                away = (value - middle) / scale
                squares += away * away
            if squares <= best_squares:
                best, best_squares = number, squares
        return best

    def normalised(self, regime: int, values: Sequence[float]) -> list[float]:
        """Signals in spreads from their mean in that regime, within ±``LIMIT``; NaN and infinite give NaN."""
        found = []
        for value, mean, spread in zip(values, self.means[regime], self.spreads[regime], strict=True):
            away = (value - mean) / spread
            if away - away != 0.0:  # NaN or infinite
                found.append(nan)
            else:
                found.append(max(-LIMIT, min(LIMIT, away)))
        return found
