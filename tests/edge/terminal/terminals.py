"""A terminal at a station of the pure core: no edge, no network, no screen, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.control.control import Control
from edge.control.controls import apply
from edge.control.machines import Machines, NoMachines
from edge.station import holds
from edge.station.commands import Command, ControlCommand
from edge.station.lease import receive
from edge.station.refusals import Refusal, from_transition
from edge.station.station_view import LinkView, view
from edge.station.unassigned import Machine
from edge.station.work import Work
from edge.station.workcell import Place, Surroundings, Workcell, decide, perform
from edge.terminal.frame import paint
from edge.terminal.painting import text_of
from edge.terminal.screens.work import WorkPage
from edge.terminal.session import BOUNCE, Key, Session
from protocols.actions import Action
from protocols.jobs import JobOperation
from protocols.lifecycle import IllegalTransitionError
from protocols.states import ItemState, OperationMode
from tests.edge.workcells import PLACE, SECOND, T0, job_list

PRESS = Machine("press-1", ItemState.EXECUTING, OperationMode.PROCESSING, T0, connected=True)


class Terminal:
    """A session whose commands are decided at once, by a station in memory."""

    def __init__(
        self,
        *operations: JobOperation,
        place: Place = PLACE,
        machine: Machine = PRESS,
        link: LinkView | None = None,
        language: str = "en",
        machines: Machines | None = None,
    ) -> None:
        self.seconds = 0.0
        devices = {machine.device: [place.id]} if machines is not None else {}
        self.control = Control(devices, machines or NoMachines())
        self.machine = machine
        self.link = link or LinkView(online=True, cloud=True, last_ack=T0 - 2 * SECOND)
        self.cell = receive(Workcell(place), job_list(*operations))
        self._number = 0
        self._pressed = ""
        self.home = WorkPage()
        self.session = Session(
            station=place.id,
            url="http://127.0.0.1:8801",
            actor="K7",
            now=self.now,
            new_id=self._new_id,
            home=self.home,
            language=language,
        )
        self.look()

    def now(self) -> int:
        return T0 + int(self.seconds * SECOND)

    def _new_id(self) -> str:
        self._number += 1
        return f"command-{self._number:04}"

    def look(self) -> None:
        """A snapshot arrives."""
        station = self.cell.place.id
        machines = self.control.view(station)
        self.session.receive(view(self.cell, self.machine, self.link, self.around(), 1, machines))

    def around(self) -> Surroundings:
        locked = self.control.locked(self.cell.place.id)
        held = holds.held(self.cell.queue.operations.values(), [self.cell.work], {})
        return Surroundings(
            self.now(), online=self.link.online, cloud=self.link.cloud, locked=locked, held=held
        )

    def settle(self) -> None:
        """The edge answers everything that is under way."""
        while self.session.outgoing:
            command = self.session.outgoing[0]
            try:
                actions = self.decided(command)
            except Refusal as refusal:
                self.session.refused(command, refusal)
                continue
            except IllegalTransitionError as error:
                self.session.refused(command, from_transition(error))
                continue
            self.cell = perform(self.cell, command, actions)
            for action in actions:
                self.control.controls = apply(self.control.controls, action)
            self.look()
            self.session.accepted(command)

    def decided(self, command: Command) -> list[Action]:
        """The actions of a command."""
        if not isinstance(command, ControlCommand):
            return decide(self.cell, command, self.around())
        station = self.cell.place.id
        events = self.control.decide(station, command, self.now())
        return [
            Action(f"{command.id}.{number}", self.now(), station, command.actor, event)
            for number, event in enumerate(events)
        ]

    def press(self, *names: str) -> None:
        """Press keys and let the edge answer; a single character types itself.

        Nobody presses the same key twice within a moment and means it: a second passes.
        """
        for name in names:
            if name == self._pressed and name in BOUNCE and name not in ("enter", "f11"):
                self.seconds += 1
            self._pressed = name
            self.session.press(Key(name, name if len(name) == 1 else " " if name == "space" else None))
            self.settle()

    def scan(self, code: str) -> None:
        """A scanner: fast keystrokes ending in Enter."""
        self.press(*code, "enter")

    def work(self, **changes: object) -> None:
        """Change what is known of the work (counter, stops, …) and look."""
        work: Work = msgspec.structs.replace(self.cell.work, **changes)
        self.cell = Workcell(self.cell.place, self.cell.queue, work)
        self.look()

    def screen(self, width: int = 80, height: int = 24) -> list[str]:
        return [text_of(line) for line in paint(self.session, width, height)]

    def text(self, width: int = 80, height: int = 24) -> str:
        return "\n".join(line.rstrip() for line in self.screen(width, height))


def line_with(lines: Sequence[str], words: str) -> str:
    """The first line that has these words; raises AssertionError showing the screen."""
    for line in lines:
        if words in line:
            return line
    raise AssertionError(f"{words!r} is not on the screen:\n" + "\n".join(lines))
