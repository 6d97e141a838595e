"""What a terminal knows and does, without a screen: the view, the keys, what is under way.

Nothing here knows Textual. The app hands over keys and snapshots and paints what :mod:`edge.terminal.frame`
makes of it; the sender delivers commands one after the other.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from edge.station.commands import Book, Command, DoStep
from edge.station.instructions import judged
from edge.station.refusals import Parameter, Refusal
from edge.station.station_view import OperationView, PartView, RunView, StationView
from edge.terminal.painting import Line
from edge.terminal.words import say
from protocols.values import MICROSECONDS


class Key(NamedTuple):
    """A key as it was pressed: its name (``f1``, ``enter``, ``up``, …) and the character it types, if any."""

    name: str
    character: str | None = None


class Page(Protocol):
    """One screen. ``paint`` fills the space between the top line and the last action."""

    def paint(self, session: Session, width: int, height: int) -> list[Line]: ...

    def keys(self, session: Session) -> Mapping[str, str]:
        """Function keys that do something now, with what they say."""
        ...

    def press(self, session: Session, key: Key) -> None: ...


class Outcome(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SAID = "said"


@dataclass(frozen=True, slots=True)
class Notice:
    """The last thing that happened. ``key`` names its words; a refusal brings its own."""

    outcome: Outcome
    key: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    refusal: Refusal | None = None
    command: str = ""


BOUNCE = {
    **{f"f{number}": 700_000 for number in range(1, 13)},
    "f2": 200_000,
    "f3": 400_000,
    "enter": 400_000,
}
"""µs within which the same key, pressed again and nothing else between, is not meant. Pieces are counted
by fast fingers; a phase or a step is not skipped by one."""

SAYS = {
    "release-hold": "lot.released",
    "open": "run.opened",
    "first-piece": "run.first-piece",
    "start": "run.started",
    "pause": "run.paused",
    "resume": "run.resumed",
    "complete": "run.completed",
    "abort": "run.aborted",
    "andon-clear": "andon.cleared",
    "note": "shift.note",
    "undo": "undone",
}
CONTROL_SAYS = {"lock": "lock.set", "unlock": "lock.released", "accept": "lock.accepted"}
MAINTENANCE_SAYS = {
    "maintenance-start": "maintenance.started",
    "maintenance-found": "maintenance.found",
    "maintenance-break-off": "maintenance.broken-off",
    "maintenance-refuse": "maintenance.refused",
    "maintenance-keep": "maintenance.kept",
    "maintenance-move": "maintenance.moved",
}
"""What is said of a command while it is under way; the others are told by their content."""


@dataclass(slots=True)
class Session:
    """One terminal at one station. ``now`` gives µs UTC, ``new_id`` ids of commands."""

    station: str
    url: str
    actor: str
    now: Callable[[], int]
    new_id: Callable[[], str]
    home: Page
    language: str = "en"
    big: bool = False
    view: StationView | None = None
    connected: bool = False
    part: int = 0
    """Which operation of the run the keys are for."""
    notice: Notice | None = None
    outgoing: deque[Command] = field(default_factory=deque)
    pages: list[Page] = field(default_factory=list)
    on_outgoing: Callable[[], None] = lambda: None
    _pressed: tuple[str, int] = field(default=("", 0), init=False)
    _on_refusal: dict[str, Callable[[Refusal], None]] = field(default_factory=dict, init=False)
    _lost: int = field(default=0, init=False)
    _skew: int = field(default=0, init=False)

    # --- words ----------------------------------------------------------------------------------------

    def say(self, key: str, **parameters: Parameter) -> str:
        return say(self.language, key, **parameters)

    # --- what is seen ---------------------------------------------------------------------------------

    @property
    def time(self) -> int:
        """The edge's clock, as far as its last snapshot tells."""
        return self.now() + self._skew

    @property
    def lost_since(self) -> int:
        """Since when (edge's clock) the edge does not answer."""
        return self._lost + self._skew

    @property
    def page(self) -> Page:
        return self.pages[-1] if self.pages else self.home

    @property
    def run(self) -> RunView | None:
        """The run in hand: the active one, else the one paused first."""
        return self.view.runs[0] if self.view and self.view.runs else None

    @property
    def current(self) -> PartView | None:
        """The operation of the run that keys are for."""
        run = self.run
        return run.parts[min(self.part, len(run.parts) - 1)] if run else None

    def upcoming(self) -> list[OperationView]:
        """What would be done next: the first operation that can start, with those of its group."""
        if self.view is None or not self.view.queue:
            return []
        queue = self.view.queue
        first = next((entry for entry in queue if entry.ready), queue[0])
        return self.group(first)

    def group(self, first: OperationView) -> list[OperationView]:
        """An operation and those the planner put into one run with it, as many as fit and can start."""
        if self.view is None:
            return [first]
        name = first.operation.group
        others = [
            entry
            for entry in self.view.queue
            if name and entry.operation.group == name and entry is not first and entry.ready
        ]
        return [first, *others][: self.view.capacity]

    def undo_seconds(self) -> int:
        """Seconds left in which the last action can be taken back."""
        last = self.view.last if self.view else None
        return max(0, (last.undo_until - self.time) // MICROSECONDS) if last else 0

    # --- what comes from the edge ---------------------------------------------------------------------

    def receive(self, view: StationView | None) -> None:
        """A snapshot, or None: the edge does not answer."""
        if view is None:
            if self.connected or not self._lost:
                self._lost = self.now()
            self.connected = False
            return
        before = self.run.id if self.run else None
        self.connected = True
        self.view = view
        self._skew = view.now - self.now()
        if (self.run.id if self.run else None) != before:
            self.part = 0

    def accepted(self, command: Command) -> None:
        """The edge has it on disk."""
        self._settled(command)
        self._on_refusal.pop(command.id, None)
        key, parameters = spoken(self.view, command)
        self.notice = Notice(Outcome.ACCEPTED, key, parameters, command=command.id)

    def refused(self, command: Command, refusal: Refusal) -> None:
        """The edge refused it; nothing happened."""
        self._settled(command)
        self.notice = Notice(Outcome.REFUSED, refusal=refusal, command=command.id)
        if (ask := self._on_refusal.pop(command.id, None)) is not None:
            ask(refusal)

    def _settled(self, command: Command) -> None:
        if self.outgoing and self.outgoing[0].id == command.id:
            self.outgoing.popleft()

    # --- what people do -------------------------------------------------------------------------------

    def press(self, key: Key) -> None:
        """A key. Language, size and help work on every screen."""
        if self._bounced(key):
            return
        match key.name:
            case "f8" if "f8" not in self.page.keys(self):
                self.home.press(self, key)
            case "f12":
                self.language = "en" if self.language == "zh" else "zh"
            case "f11":
                self.big = not self.big
            case _:
                self.page.press(self, key)

    def _bounced(self, key: Key) -> bool:
        """A glove presses twice, a key held down repeats: the first press counts."""
        (before, at), now = self._pressed, self.now()
        self._pressed = (key.name, now)
        return key.name == before and 0 <= now - at < BOUNCE.get(key.name, 0)

    def work_as(self, actor: str) -> None:
        """Somebody else works here from now on."""
        self.actor = actor
        self.notice = Notice(Outcome.SAID, "actor", {"actor": actor})

    def send(
        self, kind: type[Command], on_refusal: Callable[[Refusal], None] | None = None, **fields: object
    ) -> None:
        """Hand a command to the sender; it is pending until the edge has it on disk.

        What is under way already is not asked for again, except pieces: those add up.
        """
        command = kind.model_validate({"id": self.new_id(), "actor": self.actor, **fields})
        if not isinstance(command, Book) and any(_same(command, other) for other in self.outgoing):
            return
        if on_refusal is not None:
            self._on_refusal[command.id] = on_refusal
        self.outgoing.append(command)
        key, parameters = spoken(self.view, command)
        self.notice = Notice(Outcome.PENDING, key, parameters, command=command.id)
        self.on_outgoing()

    def refuse(self, refusal: Refusal) -> None:
        """Say why something is not possible, without asking the edge."""
        self.notice = Notice(Outcome.REFUSED, refusal=refusal)

    def open(self, page: Page) -> None:
        self.pages.append(page)

    def close(self) -> None:
        """Back to the screen before."""
        if self.pages:
            self.pages.pop()


def _device_of(view: StationView | None, case: str) -> str:
    """The machine of a maintenance case, as people call it."""
    for machine in view.machines if view else ():
        if any(each.order.case == case for each in machine.orders):
            return machine.title or machine.device
    return "–"


def _same(one: Command, other: Command) -> bool:
    """Whether two commands ask for the same."""
    return one.model_dump(exclude={"id"}) == other.model_dump(exclude={"id"})


def _outside(view: StationView | None, command: DoStep) -> bool:
    """Whether the value of a step is a measurement outside its limits."""
    for run in view.runs if view else ():
        for part in run.parts:
            steps = part.view.operation.steps
            if run.id == command.run and part.view.operation.id == command.operation:
                with contextlib.suppress(Refusal):
                    return command.step < len(steps) and not judged(steps[command.step], command.value)[1]
    return False


def spoken(view: StationView | None, command: Command) -> tuple[str, dict[str, Parameter]]:
    """The words for a command: their key and parameters."""
    match command.do:
        case "book":
            return "run.booked", {
                "good": f"{command.booking.good:f}",
                "scrap": f"{command.booking.scrap:f}",
            }
        case "step":
            key = "step.done" if command.value else "step.confirmed"
            if _outside(view, command):
                key = "step.failed"
            return key, {"step": str(command.step + 1), "value": command.value}
        case "stop-reason":
            reasons = view.stop_reasons if view else {}
            return "stop.reasoned", {"reason": reasons.get(command.reason, command.reason)}
        case "andon":
            topics = view.andon_topics if view else {}
            return "andon.raised", {"topic": topics.get(command.topic, command.topic)}
        case "lock" | "unlock" | "accept":
            return CONTROL_SAYS[command.do], {"device": command.device}
        case "accept-firmware":
            return "firmware.accepted", {"device": command.device, "firmware": command.firmware}
        case "write" | "call":
            target = command.tag if command.do == "write" else command.method
            value = command.value if command.do == "write" else ""
            return "command.intended", {"device": command.device, "target": target, "value": str(value)}
        case "program":
            value = command.sha256[:12]
            return "command.intended", {"device": command.device, "target": command.program, "value": value}
        case "settle":
            return "command.settled", {}
        case (
            "maintenance-start"
            | "maintenance-found"
            | "maintenance-break-off"
            | "maintenance-refuse"
            | "maintenance-keep"
            | "maintenance-move"
        ):
            return MAINTENANCE_SAYS[command.do], {"device": _device_of(view, command.case)}
        case _:
            return SAYS[command.do], {}
