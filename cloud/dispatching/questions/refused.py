"""Why a scenario makes no sense: all reasons at once, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from protocols.documents import nearest

SHOWN = 12
"""Names that are listed where none is near."""


class Reason(Struct, frozen=True, kw_only=True):
    """One piece of nonsense: in which change (its position, −1 for the scenario as a whole), in words."""

    change: int
    text: str

    def __str__(self) -> str:
        return self.text if self.change < 0 else f"change {self.change + 1}: {self.text}"


class ImpossibleScenario(ValueError):
    """The scenario makes no sense for the problem; ``reasons`` says why, all at once."""

    def __init__(self, title: str, reasons: list[Reason]) -> None:
        self.reasons = reasons
        self.title = title
        lines = "\n  ".join(str(reason) for reason in reasons)
        super().__init__(f"{title or 'the scenario'} makes no sense:\n  {lines}")


class Refused(ValueError):
    """One change cannot be made; ``reasons`` in words."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """``there is no machine "LASSER1" — did you mean LASER1?``"""
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f'there is no {kind} "{name}" — did you mean {near}?'
    if not names:
        return f'there is no {kind} "{name}", and no other'
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f'there is no {kind} "{name}"; there are {shown}'
