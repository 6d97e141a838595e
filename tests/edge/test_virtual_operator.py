"""Virtual operators bring any queue to its end, as a person would, and the same way for the same seed."""

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import typer

from edge.operators import Presence, command, work
from edge.station import commands as asked
from edge.station.lease import receive
from edge.station.refusals import Refusal
from edge.station.station_view import LinkView, StationView, view
from edge.station.unassigned import Machine
from edge.station.workcell import Place, Surroundings, Workcell, decide, perform
from edge.virtual_operator import Button, Carry, Deed, Do, Push, VirtualOperator, Wait
from protocols import actions as did
from protocols.lifecycles import OperationState
from protocols.states import ItemState, OperationMode
from tests.edge.edges import TOKEN, edge_api, edge_with_stations
from tests.edge.workcells import PLACE, SECOND, STEPS, T0, job_list, operation, predecessor

STATES = {
    Button.SETUP: (ItemState.NOT_EXECUTING, OperationMode.SETUP),
    Button.START: (ItemState.EXECUTING, OperationMode.PROCESSING),
    Button.STOP: (ItemState.NOT_EXECUTING, OperationMode.NONE),
}


@dataclass
class Floor:
    """A station and its machine in simulated time."""

    cell: Workcell
    operator: VirtualOperator
    machine: Machine = field(default_factory=Machine)
    seconds: float = 0.0
    parts: float = 0.0
    pace: float = 1.0
    actions: list[did.Action] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    fails_at: float = 1e9

    @property
    def around(self) -> Surroundings:
        return Surroundings(T0 + int(self.seconds * SECOND))

    def look(self) -> StationView:
        if self.machine.device:
            work = msgspec.structs.replace(self.cell.work, counter=int(self.parts))
            self.cell = replace(self.cell, work=work)
        return view(self.cell, self.machine, LinkView(online=True, cloud=True), self.around, 0)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        if self.machine.item_state is ItemState.EXECUTING:
            self.parts += seconds / self.pace
        if self.fails_at <= self.seconds < self.fails_at + 60:
            self.machine = replace(self.machine, item_state=ItemState.OUT_OF_SERVICE)
        elif self.machine.item_state is ItemState.OUT_OF_SERVICE:
            self.machine = replace(self.machine, item_state=ItemState.NOT_EXECUTING)

    def live(self, seconds: float = 4000) -> None:
        """So many seconds, or until there is nothing left to do."""
        until = self.seconds + seconds
        while self.seconds < until:
            seen = self.look()
            if not (seen.queue or seen.runs or seen.andons):
                return
            deed = self.operator.think(seen, self.seconds)
            self.deeds.append(deed)
            match deed:
                case Wait(seconds=pause):
                    self.advance(pause)
                case Push(button=button, seconds_per_piece=pace):
                    state, mode = STATES[button]
                    self.machine = replace(self.machine, item_state=state, mode=mode)
                    self.pace = pace or self.pace
                case Do(command=command):
                    self.do(command)

    def do(self, command: asked.Command) -> None:
        try:
            actions = decide(self.cell, command, self.around)
        except Refusal as refusal:
            self.operator.refused(refusal, self.seconds)
            return
        self.cell = perform(self.cell, command, actions)
        self.actions += actions

    def events(self, kind: type[did.Event]) -> list[did.Event]:
        return [action.event for action in self.actions if isinstance(action.event, kind)]


def floor(seed: int = 1, *, hands: bool = False, place: Place = PLACE, count: int = 6) -> Floor:
    operations = [
        operation(f"op-{n}", steps=STEPS, group="g" if n < 3 else "", planned_start=T0 + n)
        for n in range(count)
    ]
    cell = receive(Workcell(place), job_list(*operations))
    machine = Machine("press-1", ItemState.NOT_EXECUTING, since=T0, connected=True) if hands else Machine()
    return Floor(cell, VirtualOperator("brake-1", seed, "session-1", hands=hands), machine)


@pytest.mark.parametrize("hands", [False, True])
def test_a_queue_is_worked_off_with_and_without_a_machine(hands: bool) -> None:
    shop = floor(hands=hands)
    shop.live()
    assert not shop.look().queue
    assert not shop.look().runs
    assert {p.state for p in shop.cell.work.progress.values()} == {OperationState.FINISHED}
    opened = shop.events(did.RunOpened)
    assert [len(event.parts) for event in opened if isinstance(event, did.RunOpened)] == [3, 1, 1, 1]
    assert all(progress.total == 4 for progress in shop.cell.work.progress.values())
    if hands:
        assert [deed.button for deed in shop.deeds if isinstance(deed, Push)][:3] == [
            "setup",
            "start",
            "stop",
        ]


def test_a_run_takes_its_proper_time() -> None:
    shop = floor(count=1)
    shop.live()
    by_kind = {type(action.event): action.ts for action in shop.actions}
    setup = (by_kind[did.FirstPieceReleased] - by_kind[did.RunOpened]) / SECOND
    produced = (by_kind[did.RunCompleted] - by_kind[did.RunStarted]) / SECOND
    assert 48 <= setup <= 75
    assert 100 <= produced <= 140


def test_the_same_seed_makes_the_same_choices_another_one_others() -> None:
    def choices(seed: int) -> list[did.Event]:
        shop = floor(seed)
        shop.live()
        return shop.events(did.StepDone)

    assert choices(1) == choices(1)
    assert choices(1) != choices(2)


def test_over_many_seeds_there_is_scrap_a_bad_measurement_and_a_call() -> None:
    shops = [floor(seed) for seed in range(25)]
    for shop in shops:
        shop.live()
    scrapped = sum(
        (event.scrap for shop in shops for event in shop.events(did.Booked) if isinstance(event, did.Booked)),
        Decimal(0),
    )
    outside = [
        e for shop in shops for e in shop.events(did.StepDone) if isinstance(e, did.StepDone) and not e.ok
    ]
    calls = [event for shop in shops for event in shop.events(did.AndonRaised)]
    cleared = [event for shop in shops for event in shop.events(did.AndonCleared)]
    assert 0 < scrapped < 20
    assert 0 < len(outside) < 20
    assert 0 < len(calls) == len(cleared)


def test_a_broken_machine_pauses_the_run_and_calls_maintenance() -> None:
    place = replace(PLACE, andon_topics={**PLACE.andon_topics, "maintenance": PLACE.andon_topics["quality"]})
    shop = floor(hands=True, place=place, count=1)
    shop.fails_at = 100
    shop.live()
    assert [event.reason for event in shop.events(did.RunPaused) if isinstance(event, did.RunPaused)] == [
        "machine fault"
    ]
    raised = shop.events(did.AndonRaised)
    assert [event.topic for event in raised if isinstance(event, did.AndonRaised)] == ["maintenance"]
    assert shop.events(did.RunResumed)
    assert shop.cell.work.progress["op-0"].state is OperationState.FINISHED


def test_pieces_of_a_predecessor_are_fetched_once() -> None:
    done = predecessor("op-x", finished=True, workcell="laser-1")
    cell = receive(Workcell(PLACE), job_list(operation(predecessors=[done])))
    machine = Machine("press-1", ItemState.NOT_EXECUTING, since=T0, connected=True)
    shop = Floor(cell, VirtualOperator("brake-1", 1, "session-1", hands=True), machine)
    shop.live(500)
    assert [deed for deed in shop.deeds if isinstance(deed, Carry)] == [Carry("laser-1", "brake-1")]


def test_a_waiting_predecessor_is_not_overtaken() -> None:
    cell = receive(Workcell(PLACE), job_list(operation(predecessors=[predecessor()])))
    shop = Floor(cell, VirtualOperator("brake-1", 1, "session-1"))
    shop.live(300)
    assert shop.actions == []


def test_a_planned_batch_waits_for_its_rest_but_not_for_ever() -> None:
    first = operation("op-1", group="g", steps=STEPS)
    late = operation("op-2", group="g", steps=STEPS, predecessors=[predecessor()])
    shop = Floor(
        receive(Workcell(replace(PLACE, capacity=4)), job_list(first, late)),
        VirtualOperator("brake-1", 1, "s"),
    )

    shop.live(1)
    assert shop.actions == []

    shop.live()
    opened = [event for event in shop.events(did.RunOpened) if isinstance(event, did.RunOpened)]
    assert [[part.operation for part in run.parts] for run in opened] == [["op-1"]]


async def test_operators_work_through_the_api_until_a_terminal_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()
    think = VirtualOperator.think

    def noticed(operator: VirtualOperator, view: StationView, now: float) -> Deed:
        deed = think(operator, view, now)
        if view.terminals and view.queue:
            looked.set()
        return deed

    monkeypatch.setattr(VirtualOperator, "think", noticed)
    fast = [msgspec.structs.replace(operation(f"op-{n}"), setup_seconds=0, run_seconds=0) for n in range(3)]
    (tmp_path / "api.token").write_text(TOKEN, "ascii")
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        await edge.stations.jobs_received(job_list(*fast))
        working = asyncio.ensure_future(work({client.url: tmp_path / "api.token"}, 1, None))
        try:
            async with asyncio.timeout(30):
                while edge.stations.view("brake-1").queue or edge.stations.view("brake-1").runs:
                    await edge.stations.next_change("brake-1").wait()
            with edge.stations.attached("brake-1"):
                more = [msgspec.structs.replace(fast[0], id="op-9")]
                await edge.stations.jobs_received(job_list(*more, version=2))
                async with asyncio.timeout(30):
                    await looked.wait()
                assert edge.stations.view("brake-1").runs == ()
        finally:
            working.cancel()
            await asyncio.wait([working])
        kinds = [type(action.event) for action in await edge.sent_actions()]
        assert kinds.count(did.RunCompleted) == 3


async def test_hands_press_the_buttons_of_the_panel(tmp_path: Path) -> None:
    from drivers.virtual.panel import Panel

    heard: list[dict[str, object]] = []

    async def panel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(json.loads(line))
            writer.write(b'{"done":true}\n')
        writer.close()

    server = await asyncio.start_server(panel, "127.0.0.1", 0)
    hands = Panel("127.0.0.1", server.sockets[0].getsockname()[1])
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        presence = Presence(VirtualOperator("brake-1", 1, "session-1", hands=True), client, hands)
        await presence._press(hands, Push("press-1", Button.START, "P1", 1.5))
        await presence._press(hands, Carry("laser-1", "brake-1"))
    await hands.close()
    server.close()
    await server.wait_closed()
    assert [entry["press"] for entry in heard] == ["start", "look"]
    assert (heard[1]["pick"], heard[1]["drop"]) == ("laser-1", "brake-1")


@pytest.mark.parametrize(
    ("edge", "panel", "says"),
    [
        (["127.0.0.1:8801"], "", "is not URL=TOKENFILE, e.g. http://127.0.0.1:8801=api.token"),
        (["https:/127.0.0.1=token"], "", '"https:/127.0.0.1" is not the address of an edge: write http://'),
        (["http://127.0.0.1:8801=token"], "here", '"here" is not HOST:PORT'),
    ],
)
def test_a_wrong_option_says_what_is_right(edge: list[str], panel: str, says: str) -> None:
    with pytest.raises(typer.BadParameter, match=re.escape(says)):
        command(edge=edge, seed=1, panel=panel)
