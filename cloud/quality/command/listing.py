"""``onelot quality rules``: every run rule, and what a set of them costs."""

from __future__ import annotations

from typing import Annotated

import typer

from cloud.quality.command.asking import named_rules
from protocols.spc.rules import ALIASES, DEFAULT, WORDS, Rule
from protocols.spc.run_lengths import run_length

Rules = Annotated[
    str, typer.Option(help="Run rules, separated by commas; western-electric and nelson are whole sets.")
]


def list_rules(
    rules: Rules = "",
) -> None:
    """List the run rules, or say what a set of them costs and finds."""
    if rules:
        typer.echo(cost(named_rules(rules)))
        return
    for rule in Rule:
        also = [name for name, meant in ALIASES.items() if meant == (rule,)]
        mark = "*" if rule in DEFAULT else " "
        typer.echo(f"{mark} {rule:<9} {WORDS[rule][0]}{f' (also {also[0]})' if also else ''}")
    typer.echo("* default")
    sets = {"nelson-1 alone": (Rule.NELSON_1,), "default": DEFAULT}
    sets |= {name: meant for name, meant in ALIASES.items() if len(meant) > 1}
    for name, meant in sets.items():
        typer.echo(f"  {name:<17} {cost(meant)}")


def cost(rules: tuple[Rule, ...]) -> str:
    """What a set of rules costs in false alarms and what it buys, in half a line."""
    length = run_length(rules)
    if length is None:
        return "run length not computed: the set is without nelson-1"
    return (
        f"a false alarm every {length.in_control:.0f} points, "
        f"a shift of 1 sigma found after {length.shifted:.0f} (means)"
    )
