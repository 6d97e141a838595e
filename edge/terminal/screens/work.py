"""The main screen: one thing to do, always visible. A scan is always listened to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from edge.station import commands as asked
from edge.station.refusals import Refusal
from edge.terminal import scanning
from edge.terminal.frame import is_big
from edge.terminal.painting import Line
from edge.terminal.screens import work_big, work_wide
from edge.terminal.screens.andon import AndonPage
from edge.terminal.screens.complete import CompletePage
from edge.terminal.screens.confirm import ConfirmPage, start
from edge.terminal.screens.machine import MachinePage
from edge.terminal.screens.note import NotePage
from edge.terminal.screens.queue import QueuePage
from edge.terminal.screens.scrap import ScrapPage
from edge.terminal.screens.stops import StopsPage
from edge.terminal.session import Key, Session
from edge.terminal.steps import current_step
from protocols.jobs import StepKind
from protocols.lifecycles import RunState

MAX_TYPED = 120
AFTER_SCAN = 400_000
"""µs after a scan in which an empty Enter is the scanner's and confirms nothing."""


@dataclass(slots=True)
class WorkPage:
    """The operation in hand, or the one to take in hand next."""

    typed: str = ""
    chosen: int | None = None
    """A step chosen with the arrows, instead of the first open one."""
    _scanned: int = 0
    _seen: tuple[str, int] = ("", 0)

    # --- keys -----------------------------------------------------------------------------------------

    def keys(self, session: Session) -> Mapping[str, str]:
        usable = {"f1": "key.queue", "f8": "key.help"}
        has_machine = session.view is not None and bool(session.view.machines)
        usable["f10"] = "key.machine" if has_machine else "key.note"
        run, part = session.run, session.current
        if session.view is not None and session.view.stops:
            usable["f7"] = "key.reason"
        if session.undo_seconds():
            usable["f9"] = "key.undo"
        if run is None or part is None:
            if session.upcoming():
                usable |= {"f4": "key.setup", "f5": "key.start"}
            return usable
        usable |= PHASE_KEYS[run.state]
        step = self.step(session)
        if step is not None:
            usable["f3"] = STEP_KEYS.get(part.view.operation.steps[step].kind, "key.confirm")
        if run.state is RunState.RUNNING and part.view.left >= 1:
            usable["f2"] = "key.done"
        return usable

    def press(self, session: Session, key: Key) -> None:
        self._follow(session)
        if key.name in self.keys(session):
            KEYS[key.name](self, session)
        elif key.name == "enter":
            self._enter(session)
        elif key.name == "escape":
            self.typed, self.chosen = "", None
        elif key.name == "backspace":
            self.typed = self.typed[:-1]
        elif key.name in ("left", "right") and session.run is not None:
            turn = 1 if key.name == "right" else -1
            session.part = (session.part + turn) % len(session.run.parts)
            self.chosen = None
        elif key.name in ("up", "down"):
            self._choose(session, 1 if key.name == "down" else -1)
        elif key.character and key.character.isprintable() and len(self.typed) < MAX_TYPED:
            self.typed += key.character

    def step(self, session: Session) -> int | None:
        """The current step of the operation in hand."""
        self._follow(session)
        part = session.current
        return current_step(part, self.chosen) if part is not None else None

    def _follow(self, session: Session) -> None:
        """A chosen step belongs to one operation and goes once it is done."""
        part = session.current
        seen = (part.view.operation.id, len(part.steps)) if part is not None else ("", 0)
        if seen != self._seen:
            self._seen, self.chosen = seen, None

    def _choose(self, session: Session, move: int) -> None:
        part = session.current
        if part is None or not part.view.operation.steps:
            return
        steps = [n for n, step in enumerate(part.view.operation.steps) if step.kind is not StepKind.INFO]
        if steps:
            at = self.step(session)
            place = steps.index(at) + move if at in steps else 0
            self.chosen = steps[place % len(steps)]

    def _enter(self, session: Session) -> None:
        code, self.typed = self.typed.strip(), ""
        if code:
            self._scanned = session.now()
            self._scan(session, code)
        elif session.now() - self._scanned > AFTER_SCAN:
            part, step = session.current, self.step(session)
            steps = part.view.operation.steps if part is not None else ()
            if step is not None and steps[step].kind is StepKind.CONFIRM:
                self.do_step(session)

    def _scan(self, session: Session, code: str) -> None:
        try:
            found = scanning.meaning(session, code, self.step(session))
        except Refusal as refusal:
            session.refuse(refusal)
            return
        match found:
            case scanning.Answer(step=step, value=value):
                self._answer(session, step, value)
            case scanning.Chosen(operation=operation):
                session.open(QueuePage(at=operation))
            case scanning.Turned(part=part):
                session.part, self.chosen = part, None
            case scanning.Badge(actor=actor):
                session.work_as(actor)

    def _answer(self, session: Session, step: int, value: str) -> None:
        run, part = session.run, session.current
        if run is not None and part is not None:
            session.send(asked.DoStep, run=run.id, operation=part.view.operation.id, step=step, value=value)

    # --- what the function keys do --------------------------------------------------------------------

    def open_queue(self, session: Session) -> None:
        session.open(QueuePage())

    def done_one(self, session: Session) -> None:
        run, part = session.run, session.current
        if run is not None and part is not None:
            booking = {"operation": part.view.operation.id, "good": Decimal(1)}
            session.send(asked.Book, run=run.id, booking=booking)

    def do_step(self, session: Session) -> None:
        """Confirm a step, or take what was typed as its answer; without that the field waits."""
        part, step = session.current, self.step(session)
        if part is None or step is None:
            return
        kind = part.view.operation.steps[step].kind
        if kind in (StepKind.SCAN, StepKind.MEASURE):
            if self.typed:
                self._enter(session)
            return
        self._answer(session, step, "")

    def forward(self, session: Session) -> None:
        """The next phase: set up, release the first piece, complete."""
        run = session.run
        if run is None:
            start(session, session.upcoming(), setup=True)
        elif run.state is RunState.SETUP:
            session.send(asked.ReleaseFirstPiece, run=run.id)
        elif run.state is not RunState.FIRST_PIECE:
            session.open(CompletePage.of(run))

    def go_or_stop(self, session: Session) -> None:
        """Start, pause, resume."""
        run = session.run
        if run is None:
            start(session, session.upcoming(), setup=False)
        else:
            session.send(GO[run.state], run=run.id)

    def scrap_or_put_back(self, session: Session) -> None:
        run, part = session.run, session.current
        if run is None or part is None:
            return
        if run.state in (RunState.SETUP, RunState.FIRST_PIECE) and not run.booked:
            session.open(ConfirmPage.put_back(run))
        else:
            session.open(ScrapPage(run.id, part.view.operation.id))

    def reason(self, session: Session) -> None:
        session.open(StopsPage())

    def help(self, session: Session) -> None:
        session.open(AndonPage())

    def undo(self, session: Session) -> None:
        if session.view is not None and session.view.last is not None:
            session.send(asked.Undo, command=session.view.last.command)

    def machine_or_note(self, session: Session) -> None:
        """The machines of the station, among them the shift note; where there is none only that."""
        has_machine = session.view is not None and bool(session.view.machines)
        session.open(MachinePage() if has_machine else NotePage())

    # --- painting -------------------------------------------------------------------------------------

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        layout = work_big.paint if is_big(session, width) else work_wide.paint
        return layout(session, self.step(session), self.typed, width, height)


STEP_KEYS = {
    StepKind.CONFIRM: "key.confirm",
    StepKind.MEASURE: "key.measure",
    StepKind.SCAN: "key.scan",
}

PHASE_KEYS: dict[RunState, dict[str, str]] = {
    RunState.SETUP: {"f4": "key.first", "f5": "key.start", "f6": "key.put-back"},
    RunState.FIRST_PIECE: {"f5": "key.start", "f6": "key.put-back"},
    RunState.RUNNING: {"f4": "key.complete", "f5": "key.pause", "f6": "key.scrap"},
    RunState.PAUSED: {"f4": "key.complete", "f5": "key.resume", "f6": "key.scrap"},
}

GO: dict[RunState, type[asked.Command]] = {
    RunState.SETUP: asked.StartRun,
    RunState.FIRST_PIECE: asked.StartRun,
    RunState.RUNNING: asked.PauseRun,
    RunState.PAUSED: asked.ResumeRun,
}

KEYS: dict[str, Callable[[WorkPage, Session], None]] = {
    "f1": WorkPage.open_queue,
    "f2": WorkPage.done_one,
    "f3": WorkPage.do_step,
    "f4": WorkPage.forward,
    "f5": WorkPage.go_or_stop,
    "f6": WorkPage.scrap_or_put_back,
    "f7": WorkPage.reason,
    "f8": WorkPage.help,
    "f9": WorkPage.undo,
    "f10": WorkPage.machine_or_note,
}
