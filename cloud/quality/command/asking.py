"""What the commands share: rules as people name them, and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cloud.printing import fail
from cloud.quality.measurements import Table, read_measurements
from protocols.documents import DocumentError, not_one_of
from protocols.spc.rules import Rule, known_rules, rules_of

SIGNALLED = 1
"""Exit code with ``--check``: a point signals."""

T = TypeVar("T")


def named_rules(text: str) -> tuple[Rule, ...]:
    """Rules of a comma-separated list; raises typer.Exit with the nearest name."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known_rules():
            raise fail(f"--rules: {not_one_of(name, known_rules())}")
    return rules_of(names)


def table_at(path: Path, columns: str) -> Table:
    """The measurements in a file; raises typer.Exit with every mistake and where it is."""
    names = [name.strip() for name in columns.split(",") if name.strip()]
    return tried(lambda: read_measurements(path, names))


def tried(work: Callable[[], T]) -> T:
    """What ``work`` gives; raises typer.Exit with the reason where a file is of no use."""
    try:
        return work()
    except DocumentError as error:
        raise fail(str(error)) from None
