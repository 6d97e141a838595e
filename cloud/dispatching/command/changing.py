"""The changes of a scenario as options: each is read into what it means, or says how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from cloud.dispatching.command.times import span_of, time_of
from cloud.dispatching.files.documents import read_order
from cloud.dispatching.questions.changes import (
    CancelledOrder,
    Change,
    LikeOrder,
    MachineDown,
    NewOrder,
    OrderTerms,
    OtherHeads,
    Overtime,
    PinnedOperation,
    SplitLot,
)
from cloud.dispatching.questions.orders import order_ids
from cloud.dispatching.shop.problem import Problem
from cloud.printing import fail
from protocols.documents import DocumentError


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text)


Rush = Annotated[list[Path] | None, _option("--rush", "FILE", "A new order: a file (onelot-order-1).")]
Like = Annotated[list[str] | None, _option("--like", "ORDER", "A new order with the work of this one.")]
Due = Annotated[
    list[str] | None,
    _option("--due", "WHEN", "When new orders are due (4h), or another due date: ORDER=2d."),
]
Weight = Annotated[
    list[str] | None,
    _option("--weight", "NUMBER", "What new orders weigh (5), or another weight: ORDER=10."),
]
Cancel = Annotated[list[str] | None, _option("--cancel", "ORDER", "An order that falls away.")]
Down = Annotated[list[str] | None, _option("--down", "MACHINE=SPAN", "A machine that fails: MACHINE=0..4h.")]
OvertimeOption = Annotated[
    list[str] | None,
    _option(
        "--overtime", "[MACHINES=]SPAN", "Machines that work while closed: SAW,LATHE=8h..10h; all: 8h..10h."
    ),
]
Heads = Annotated[
    list[str] | None,
    _option("--heads", "CREW=NUMBER@SPAN", "More or fewer of a crew or tool: welder=+1@0..8h."),
]
Split = Annotated[list[str] | None, _option("--split", "JOB=NUMBER", "A job's lot in sublots: JOB=2.")]
PinOption = Annotated[
    list[str] | None,
    _option("--pin", "OPERATION=MACHINE", "OPERATION=MACHINE, or OPERATION=MACHINE@START."),
]


class Asked(NamedTuple):
    """The options of a scenario, as typed."""

    rush: list[Path] | None
    like: list[str] | None
    due: list[str] | None
    weight: list[str] | None
    cancel: list[str] | None
    down: list[str] | None
    overtime: list[str] | None
    heads: list[str] | None
    split: list[str] | None
    pin: list[str] | None

    def __str__(self) -> str:
        given = zip(self._fields, self, strict=True)
        return ", ".join(f"{name} {text}" for name, texts in given for text in texts or ())


def changes(asked: Asked, problem: Problem) -> tuple[Change, ...]:
    """What the options mean; raises typer.Exit with everything that is wrong with them."""
    wrong: list[str] = []
    found: list[Change] = []
    due, terms_due = _split_by_order("--due", asked.due, lambda text: time_of(text, problem), wrong)
    weight, terms_weight = _split_by_order("--weight", asked.weight, _whole, wrong)
    found += _new_orders(asked, problem, due, weight, wrong)
    for order in {**terms_due, **terms_weight}:
        found.append(OrderTerms(order=order, due=terms_due.get(order), weight=terms_weight.get(order)))
    found += [CancelledOrder(order=order) for order in asked.cancel or ()]
    for option, texts, read in (
        ("--down", asked.down, _down),
        ("--overtime", asked.overtime, _overtime),
        ("--heads", asked.heads, _heads),
        ("--split", asked.split, _split_lot),
        ("--pin", asked.pin, _pin),
    ):
        for text in texts or ():
            try:
                found.append(read(text, problem))
            except ValueError as error:
                wrong.append(f"{option} {text}: {error}")
    if wrong:
        raise fail("\n".join(wrong))
    return tuple(found)


def new_order(order: Path | None, like: str | None, problem: Problem) -> NewOrder | LikeOrder:
    """The one new order of a question; raises typer.Exit when there is none or its file cannot be read."""
    if (order is None) == (like is None):
        raise fail("name the order: --order FILE, or --like ORDER for one with the same work")
    if like is not None:
        return LikeOrder(order=free_name(problem, like), like=like, due=problem.now)
    try:
        return read_order(order or Path())
    except DocumentError as error:
        raise fail(str(error)) from None


def free_name(problem: Problem, like: str, taken: Iterable[str] = ()) -> str:
    """What a copy of an order is called: ``A again``, ``A again 2`` …"""
    known = {*order_ids(problem), *taken}
    name, number = f"{like} again", 1
    while name in known:
        number += 1
        name = f"{like} again {number}"
    return name


def _new_orders(
    asked: Asked, problem: Problem, due: int | None, weight: int | None, wrong: list[str]
) -> Iterator[Change]:
    for file in asked.rush or ():
        try:
            order = read_order(file)
        except DocumentError as error:
            wrong.append(str(error))
            continue
        yield NewOrder(
            order=order.order,
            operations=order.operations,
            due=order.due if due is None else due,
            weight=order.weight if weight is None else weight,
            earliest=order.earliest,
        )
    taken: list[str] = []
    for like in asked.like or ():
        if due is None:
            wrong.append(f"--like {like}: when is it due? --due 4h, for instance")
            return
        taken.append(free_name(problem, like, taken))
        yield LikeOrder(order=taken[-1], like=like, due=due, weight=1 if weight is None else weight)
    if not asked.rush and not asked.like:
        wrong += [
            f"{option} {value}: of which order? {option} ORDER={value}"
            for option, value in (("--due", _bare(asked.due)), ("--weight", _bare(asked.weight)))
            if value is not None
        ]


def _bare(texts: list[str] | None) -> str | None:
    return next((text for text in texts or () if "=" not in text), None)


def _split_by_order(
    option: str, texts: list[str] | None, read: Callable[[str], int], wrong: list[str]
) -> tuple[int | None, dict[str, int]]:
    """The bare value, and those that name an order."""
    bare: int | None = None
    named: dict[str, int] = {}
    for text in texts or ():
        order, equals, value = text.rpartition("=")
        try:
            if equals:
                named[order] = read(value)
            else:
                bare = read(value)
        except ValueError as error:
            wrong.append(f"{option} {text}: {error}")
    return bare, named


def _whole(text: str) -> int:
    if not text.strip().lstrip("+-").isdigit():
        raise ValueError(f'"{text}" is not a whole number')
    return int(text)


def _named(text: str, how: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name or not value:
        raise ValueError(f"it is written {how}")
    return name, value


def _down(text: str, problem: Problem) -> Change:
    machine, span = _named(text, "MACHINE=FROM..UNTIL, such as SAW=0..4h")
    start, end = span_of(span, problem)
    return MachineDown(machine=machine, start=start, end=end)


def _overtime(text: str, problem: Problem) -> Change:
    machines, _, span = text.rpartition("=")
    start, end = span_of(span, problem)
    return Overtime(
        machines=tuple(name.strip() for name in machines.split(",") if name.strip()), start=start, end=end
    )


def _heads(text: str, problem: Problem) -> Change:
    how = "RESOURCE=+1@FROM..UNTIL, such as welder=-1@0..8h"
    resource, value = _named(text, how)
    more, at, span = value.partition("@")
    if not at:
        raise ValueError(f"it is written {how}")
    start, end = span_of(span, problem)
    return OtherHeads(resource=resource, more=_whole(more), start=start, end=end)


def _split_lot(text: str, _problem: Problem) -> Change:
    job, into = _named(text, "JOB=2")
    return SplitLot(job=job, into=_whole(into))


def _pin(text: str, problem: Problem) -> Change:
    operation, value = _named(text, "OPERATION=MACHINE or OPERATION=MACHINE@START")
    machine, at, start = value.partition("@")
    return PinnedOperation(
        operation=operation, machine=machine or None, start=time_of(start, problem) if at else None
    )
