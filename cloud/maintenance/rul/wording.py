"""A prognosis and its reasons as people read them."""

from __future__ import annotations

from protocols.prognostics.model import Contribution, Model, Prognosis


def life_words(model: Model, prognosis: Prognosis) -> str:
    """A prognosis in words; beyond the horizon no number is told."""
    level = f"{model.intervals.level:.0%}"
    if prognosis.upper is None:
        return f"more than {prognosis.lower:.0f} {model.unit} left ({level}), perhaps over {model.horizon:g}"
    return (
        f"{prognosis.life:.0f} {model.unit} left, {prognosis.lower:.0f} to {prognosis.upper:.0f} "
        f"in {level} of the cases"
    )


def evidence_words(model: Model, one: Contribution) -> str:
    """One signal's part in words."""
    moved = "shortens" if one.life < 0 else "lengthens"
    if one.current != one.current or one.normal != one.normal:
        return f"{one.signal} {moved} it by {abs(one.life):.1f} {model.unit}: no values of it lately"
    return (
        f"{one.signal} {moved} it by {abs(one.life):.1f} {model.unit}: now {one.current:+.1f} spreads from "
        f"the usual of its regime, {one.normal:+.1f} at this machine's beginning"
    )
