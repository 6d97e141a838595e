"""Times on the command line: seconds of the problem, or so long from now; and told as people tell them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cloud.dispatching.questions.durations import parse
from cloud.dispatching.shop.problem import Problem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(text: str, problem: Problem) -> int:
    """The time of the problem that ``text`` names: ``5400`` seconds after its origin, or ``2h`` from now.

    Raises ValueError with what is allowed.
    """
    bare = text.strip()
    if bare.lstrip("-").isdigit():
        return int(bare)
    try:
        return problem.now + parse(bare)
    except ValueError as error:
        raise ValueError(f"{error} from now, or a number of seconds after the problem's origin") from None


def span_of(text: str, problem: Problem) -> tuple[int, int]:
    """``FROM..UNTIL``, each as :func:`time_of` reads it; an empty FROM is now."""
    start, dots, end = text.partition("..")
    if not dots or not end.strip():
        raise ValueError(f'"{text}" is not FROM..UNTIL, such as 0..4h or 2h..1d')
    return (time_of(start, problem) if start.strip() else problem.now), time_of(end, problem)


def zone_note(problem: Problem) -> str:
    """What to say about the clock once, under what :func:`teller` told; empty where no clock is."""
    return "Times are UTC." if problem.origin else ""


def teller(problem: Problem) -> Callable[[int], str]:
    """How times of this problem are told: a date where it has an origin, else the bare number."""
    if not problem.origin:
        return str

    def told(time: int) -> str:
        return f"{_EPOCH + timedelta(microseconds=problem.utc(time)):%a %d %b %H:%M}"

    return told
