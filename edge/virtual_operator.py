"""A virtual operator: looks at a station and decides what to do next. Pure: time and chance are given.

It works as a person would: sets up, releases the first piece, follows the steps, measures plausible values,
scraps now and then, gives reasons for stops, calls for help and clears the call. Its hands press the
buttons of the machine, for OneLot starts no motion.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from edge.station import commands as asked
from edge.station.instructions import CHECKED
from edge.station.refusals import Refusal
from edge.station.station_view import PartView, RunView, Shape, StationView
from protocols.jobs import JobOperation, Step, StepKind
from protocols.lifecycles import LockState, RunState

GROUP_PATIENCE = 0.75
"""Share of a run's time that the ready part of a group waits for the rest."""
SCRAP_CHANCE = 0.025
"""Of a part in a run, that one of its pieces becomes scrap."""
OUTSIDE_CHANCE = 0.05
"""Of a measurement, that it is outside its limits at first."""
CALL_CHANCE = 0.04
"""Of a run, that help is called in it."""
REST_SECONDS = 2.0
"""After a refusal."""
PRESS_SECONDS = 2.0
"""Between two attempts at a button that shows no effect."""
PATIENCE = 3.0
"""How many times its proper duration a run waits for the machine's counter before the clock decides."""


class Button(StrEnum):
    """Buttons on the machine's own panel."""

    SETUP = "setup"
    START = "start"
    STOP = "stop"
    LOOK = "look"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Do:
    """Send a command to the station."""

    command: asked.Command


@dataclass(frozen=True, slots=True)
class Push:
    """Press a button at the machine."""

    device: str
    button: Button
    program: str = ""
    seconds_per_piece: float | None = None


@dataclass(frozen=True, slots=True)
class Carry:
    """Have an AGV bring the pieces of a predecessor."""

    pick: str
    drop: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before so many seconds, unless the station changes."""

    seconds: float


Deed = Do | Push | Carry | Wait


@dataclass(slots=True)
class VirtualOperator:
    """One operator at one station. ``hands`` says whether there is a panel to press buttons on.

    What it chooses depends on ``seed``, station and operation alone, not on when it looks. ``session`` makes
    the ids of its commands differ from those of an earlier start.
    """

    station: str
    seed: int
    session: str
    hands: bool = False
    _actor: str = field(init=False)
    _number: int = field(default=0, init=False)
    _rest_until: float = field(default=0.0, init=False)
    _pressed: tuple[str, float] = field(default=("", -1e9), init=False)
    _due: dict[str, float] = field(default_factory=dict, init=False)
    """When things are due that take a while, by what they are about."""
    _carried: set[tuple[str, str]] = field(default_factory=set, init=False)
    _called: set[str] = field(default_factory=set, init=False)
    """Runs in which help was called."""

    def __post_init__(self) -> None:
        self._actor = f"V{self._dice('actor').randint(10, 99)}"

    def think(self, view: StationView, now: float) -> Deed:
        """The next deed. ``now`` in seconds of any clock that runs evenly."""
        for deed in self._deeds(view, now):
            return deed
        return Wait(self._until_due(now))

    def refused(self, refusal: Refusal, now: float) -> None:
        """A command was refused: think again a little later."""
        self._rest_until = now + REST_SECONDS

    def _deeds(self, view: StationView, now: float) -> Iterator[Deed]:
        yield from self._serve_machine(view, now)
        if view.terminals:
            return
        yield from self._answer_stops(view, now)
        yield from self._clear_calls(view, now)
        if now < self._rest_until:
            return
        yield from self._accept(view)
        run = view.runs[0] if view.runs else None
        if run is None:
            yield from self._take_next(view, now)
        elif not run.active:
            if view.shape not in (Shape.FAULT, Shape.NO_DATA) or not self.hands:
                yield self._do(asked.ResumeRun, run=run.id)
        else:
            yield from _PHASES[run.state](self, view, run, now)

    # --- the machine ----------------------------------------------------------------------------------

    def _serve_machine(self, view: StationView, now: float) -> Iterator[Deed]:
        """Bring the machine into the state that the run has."""
        device = view.machine.device
        if not self.hands or not device or view.shape in (Shape.FAULT, Shape.NO_DATA):
            return
        run = view.runs[0] if view.runs and view.runs[0].active else None
        if run is None:
            wanted = Button.STOP
            fits = view.shape not in (Shape.RUNNING, Shape.SETUP)
        elif run.state is RunState.RUNNING:
            wanted, fits = Button.START, view.shape is Shape.RUNNING
        else:
            wanted, fits = Button.SETUP, view.shape is Shape.SETUP
        key = f"{run.id if run else ''}:{wanted}"
        pressed, at = self._pressed
        if fits or (pressed == key and now - at < PRESS_SECONDS):
            return
        self._pressed = (key, now)
        if run is None:
            yield Push(device, wanted)
            return
        yield Push(device, wanted, run.parts[0].view.operation.program[:40], _seconds_per_piece(view, run))

    def _accept(self, view: StationView) -> Iterator[Deed]:
        """Production takes a machine over that whoever mended it has released."""
        for machine in view.machines:
            if machine.lock is LockState.RELEASED:
                yield self._do(asked.AcceptMachine, device=machine.device)

    # --- stops and calls ------------------------------------------------------------------------------

    def _answer_stops(self, view: StationView, now: float) -> Iterator[Deed]:
        for stop in view.stops:
            if not stop.reason and self._is_due(f"stop {stop.id}", now, 1, 8):
                reason = self._dice(stop.id).choice(sorted(view.stop_reasons) or ["unknown"])
                yield self._do(asked.GiveStopReason, stop=stop.id, reason=reason)

    def _clear_calls(self, view: StationView, now: float) -> Iterator[Deed]:
        for call in view.andons:
            if self._is_due(f"andon {call.id}", now, 5, 20):
                yield self._do(asked.ClearAndon, andon=call.id)

    def _call(self, view: StationView, run: RunView, topics: tuple[str, ...]) -> Iterator[Deed]:
        """Call for help, once a run."""
        if run.id in self._called:
            return
        self._called.add(run.id)
        known = [topic for topic in topics if topic in view.andon_topics] or sorted(view.andon_topics)[:1]
        open_topics = {call.topic for call in view.andons}
        free = [topic for topic in known or ["help"] if topic not in open_topics]
        if free:
            yield self._do(asked.RaiseAndon, topic=self._dice(f"topic {_work(run)}").choice(free))

    # --- the work -------------------------------------------------------------------------------------

    def _take_next(self, view: StationView, now: float) -> Iterator[Deed]:
        """The first operation that is ready, with its group; its pieces are fetched first."""
        if self.hands and view.machine.device and view.shape in (Shape.FAULT, Shape.NO_DATA):
            return
        if any(0 < order.order.start <= view.now for machine in view.machines for order in machine.orders):
            return  # the machine is wanted for its maintenance
        ready = [entry for entry in view.queue if entry.ready]
        if not ready:
            return
        first = ready[0]
        name = first.operation.group
        group = [entry for entry in ready if name and entry.operation.group == name] or [first]
        chosen = group[: view.capacity]
        if len(chosen) < view.capacity and self._worth_waiting(view, name, len(group), now):
            return
        pause = min(5.0, 0.1 * _run_seconds(view, [entry.operation for entry in chosen]))
        if not self._is_due(f"take {first.operation.id}", now, pause / 5, pause):
            return
        for pick in dict.fromkeys(p.workcell for p in first.operation.predecessors):
            trip = (pick, first.operation.id)
            if self.hands and pick and pick != self.station and trip not in self._carried:
                self._carried.add(trip)
                yield Carry(pick, self.station)
        setup = any(entry.operation.setup_seconds for entry in chosen)
        yield self._do(asked.OpenRun, operations=tuple(e.operation.id for e in chosen), setup=setup)

    def _worth_waiting(self, view: StationView, name: str, ready: int, now: float) -> bool:
        """Whether more of a planned group is on its way: a full oven is worth part of a run's time."""
        planned = [entry.operation for entry in view.queue if name and entry.operation.group == name]
        if len(planned) <= ready:
            return False
        patience = GROUP_PATIENCE * _run_seconds(view, planned)
        return not self._is_due(f"group {name}", now, patience, patience)

    def _set_up(self, view: StationView, run: RunView, now: float) -> Iterator[Deed]:
        seconds = max(part.view.operation.setup_seconds for part in run.parts)
        if self._is_due(f"setup {run.id}", now, seconds * 0.8, seconds * 1.2):
            yield self._do(asked.ReleaseFirstPiece, run=run.id)

    def _start(self, view: StationView, run: RunView, now: float) -> Iterator[Deed]:
        yield self._do(asked.StartRun, run=run.id)

    def _produce(self, view: StationView, run: RunView, now: float) -> Iterator[Deed]:
        if view.shape is Shape.FAULT and self.hands:
            yield from self._break_off(view, run)
            return
        seconds = _run_seconds(view, [part.view.operation for part in run.parts])
        if self._dice(f"call {_work(run)}").random() < CALL_CHANCE:
            yield from self._call(view, run, ("material", "quality"))
        yield from self._next_step(run, now, seconds)
        yield from self._book(view, run, now, seconds)

    def _break_off(self, view: StationView, run: RunView) -> Iterator[Deed]:
        """The machine is down: call maintenance once, and pause."""
        yield from self._call(view, run, ("maintenance",))
        yield self._do(asked.PauseRun, run=run.id, reason="machine fault")

    def _next_step(self, run: RunView, now: float, seconds: float) -> Iterator[Deed]:
        for part in run.parts:
            for number, step in enumerate(part.view.operation.steps):
                result = part.steps.get(number)
                if step.kind not in CHECKED or (result is not None and result.ok):
                    continue
                total = sum(len(each.view.operation.steps) for each in run.parts)
                pause = min(3.0, 0.6 * seconds / max(1, total))
                what = f"step {run.id} {part.view.operation.id} {number} {result.action if result else ''}"
                if self._is_due(what, now, pause / 2, pause):
                    dice = self._dice(f"step {part.view.operation.id} {number} {result is not None}")
                    value = _value(step, dice, again=result is not None)
                    yield self._do(
                        asked.DoStep,
                        run=run.id,
                        operation=part.view.operation.id,
                        step=number,
                        value=value,
                    )
                return

    def _book(self, view: StationView, run: RunView, now: float, seconds: float) -> Iterator[Deed]:
        """Complete when everything is made; book a part of many pieces on the way."""
        left = sum((part.view.left for part in run.parts), Decimal(0))
        steps_open = any(_open_steps(part) for part in run.parts)
        by_clock = self._is_due(f"run {run.id}", now, seconds * 0.9, seconds * 1.1)
        by_patience = self._is_due(f"patience {run.id}", now, seconds * PATIENCE, seconds * PATIENCE)
        counted = run.machine_parts if self.hands else None
        made = Decimal(counted) - run.booked if counted is not None else None
        finished = by_clock if made is None else made >= left or by_patience
        if finished and not steps_open:
            bookings = [self._booking(view, part) for part in run.parts if part.view.left]
            yield self._do(asked.CompleteRun, run=run.id, bookings=tuple(bookings))
            return
        if made is not None and len(run.parts) == 1 and left > 3 and made >= max(Decimal(1), left // 3):
            booking = asked.Booking(operation=run.parts[0].view.operation.id, good=min(made, left - 1))
            yield self._do(asked.Book, run=run.id, booking=booking)

    def _booking(self, view: StationView, part: PartView) -> asked.Booking:
        operation, left = part.view.operation, part.view.left
        dice = self._dice(f"scrap {operation.id}")
        scrap = Decimal(1) if left >= 1 and dice.random() < SCRAP_CHANCE else Decimal(0)
        reasons = sorted(view.scrap_reasons)
        reason = dice.choice(reasons) if scrap and reasons else ""
        return asked.Booking(operation=operation.id, good=left - scrap, scrap=scrap, reason=reason)

    # --- inside ---------------------------------------------------------------------------------------

    def _do(self, kind: type[asked.Command], **fields: Any) -> Do:
        self._number += 1
        name = f"{self.session}-{self.station}-{self._number}"
        return Do(kind.model_validate({"id": name, "actor": self._actor, **fields}))

    def _dice(self, what: str) -> random.Random:
        """The dice for one choice: the same for the same seed, station and choice."""
        return random.Random(f"{self.seed}:{self.station}:{what}")

    def _is_due(self, what: str, now: float, least: float, most: float) -> bool:
        """Whether so many seconds have passed since this was first thought of."""
        if what not in self._due:
            self._due[what] = now + self._dice(what).uniform(least, most)
        return now >= self._due[what]

    def _until_due(self, now: float) -> float:
        """Seconds until the next thing is due; forgets what was due long ago."""
        self._due = {what: at for what, at in self._due.items() if at > now - 3600}
        coming = [at - now for at in self._due.values() if at > now]
        return max(0.05, min([*coming, 1.0]))


def _value(step: Step, dice: random.Random, *, again: bool) -> str:
    """What a person scans or measures; the second measurement is within limits."""
    if step.kind is StepKind.SCAN:
        return step.expected or f"LOT-{dice.randint(10_000, 99_999)}"
    if step.kind is not StepKind.MEASURE:
        return ""
    given = [value for value in (step.nominal, step.lower, step.upper) if value is not None]
    middle = given[0] if given else Decimal(0)
    low = step.lower if step.lower is not None else middle
    high = step.upper if step.upper is not None else middle
    spread = float(high - low) / 2 or 1.0
    if not again and step.upper is not None and dice.random() < OUTSIDE_CHANCE:
        return f"{float(step.upper) + spread * dice.uniform(0.1, 0.4):.2f}"
    value = Decimal(f"{float(middle) + max(-0.9, min(0.9, dice.gauss(0, 0.35))) * spread:.2f}")
    inside = (step.lower is None or value >= step.lower) and (step.upper is None or value <= step.upper)
    return str(value if inside else middle)


def _run_seconds(view: StationView, operations: list[JobOperation]) -> float:
    """How long a run of these takes: a batch as long as its longest, a nest all of them together."""
    seconds = [float(operation.run_seconds) for operation in operations]
    return max(seconds, default=0.0) if view.run == "batch" else sum(seconds)


def _work(run: RunView) -> str:
    """The run by what it makes: the same in every start with the same orders."""
    return " ".join(part.view.operation.id for part in run.parts)


def _seconds_per_piece(view: StationView, run: RunView) -> float:
    pieces = float(sum((part.quantity for part in run.parts), Decimal(0))) or 1.0
    return max(0.05, _run_seconds(view, [part.view.operation for part in run.parts]) / pieces)


def _open_steps(part: PartView) -> bool:
    return any(
        step.kind in CHECKED and (number not in part.steps or not part.steps[number].ok)
        for number, step in enumerate(part.view.operation.steps)
    )


_PHASES: dict[RunState, Callable[[VirtualOperator, StationView, RunView, float], Iterator[Deed]]] = {
    RunState.SETUP: VirtualOperator._set_up,
    RunState.FIRST_PIECE: VirtualOperator._start,
    RunState.RUNNING: VirtualOperator._produce,
}
