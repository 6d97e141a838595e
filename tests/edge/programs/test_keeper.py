"""A released program goes to the machine with the work: edits, running programs, locks, kills between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.opcua.driver import OpcuaDriver
from drivers.opcua.options import OpcuaOptions
from drivers.profile.files import check_profile
from drivers.programs import sha256
from edge.programs import keeper
from edge.programs.book import State
from edge.station import commands as asked
from edge.station.refusals import Refusal
from protocols import actions as did
from protocols.documents import parse
from protocols.lifecycles import CommandState
from protocols.states import Notice
from tests.drivers.opcua.file_server import file_server
from tests.edge.edges import Edge, Hands
from tests.edge.programs.mill import WITHOUT_STATE, Mill, commands, ended, mill, shop, take_in_hand, until
from tests.edge.programs.releases import V1, V2, release_list

OPCUA = """\
vendor: Acme
model: Mill
protocol: opcua
opcua: {namespaces: ["urn:acme:mill"]}
tags:
  state: {address: "i=2259", type: int32, role: state}
states:
  0: {item_state: not_executing}
files: {node: "ns=1;s=Programs"}
"""
V3 = b"%\nO1000\n(RELEASED LATER)\n%\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOOK", 0.02)


async def send(edge: Edge, number: int, content: bytes = V1, **more: Any) -> None:
    command = asked.SendProgram(
        id=f"command-{number}",
        actor="K7",
        device="press-1",
        program="O1000",
        sha256=sha256(content),
        **more,
    )
    await edge.stations.perform("brake-1", command)


def seen(machine: Mill, state: State) -> bool:
    return machine.known().state is state


async def test_a_program_goes_to_the_machine_with_the_operation_that_needs_it(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine) as edge:
            await until(edge, lambda: seen(machine, State.MISSING))
            assert commands(edge) == [], "nobody needs it yet"
            assert edge.stations.view("brake-1").machines[0].programs == ()
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.DONE))
            assert (tmp_path / "nc" / "O1000.nc").read_bytes() == V1
            assert seen(machine, State.RELEASED)
            (view,) = edge.stations.view("brake-1").machines[0].commands
            assert (view.target, view.value, view.actor) == ("O1000", sha256(V1)[:12], "K7")
            last = edge.stations.view("brake-1").last
            assert last is not None
            assert last.what == "run.opened", "what a person did last can still be taken back"
            opened, wanted, done = [action.event for action in await edge.sent_actions()]
            assert isinstance(opened, did.RunOpened)
            assert isinstance(wanted, did.MachineCommanded)
            assert (wanted.what, wanted.target) == ("program", "O1000")
            assert isinstance(done, did.MachineCommandEnded)
            assert done.detail == f"read back {sha256(V1)[:12]}"
        # A restart sends nothing again.
        machine.forget()
        async with shop(tmp_path, machine) as edge:
            await until(edge, lambda: seen(machine, State.RELEASED))
            assert len(commands(edge)) == 1


async def test_an_edit_at_the_machine_is_told_once_and_only_overwritten_by_a_person_who_saw_it(
    tmp_path: Path,
) -> None:
    there = tmp_path / "nc" / "O1000.nc"
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        there.write_bytes(V1)
        hands = Hands()
        async with shop(tmp_path, machine, hands=hands) as edge:
            await until(edge, lambda: seen(machine, State.RELEASED))
            there.write_bytes(V2)
            hands.seconds += keeper.INSPECT + 1
            await until(edge, lambda: seen(machine, State.EDITED))
            await take_in_hand(edge)
            await until(edge, lambda: machine.known().wanted)
            (told,) = machine.said
            assert isinstance(told, Notice)
            assert (told.severity, told.code) == ("warning", "program.edited")
            assert f"O1000.nc was edited at the machine: it holds {sha256(V2)[:12]}" in told.text
            (program,) = edge.stations.view("brake-1").machines[0].programs
            assert (program.state, program.found, program.wanted) == ("edited", sha256(V2), True)
            with pytest.raises(Refusal, match="was edited at press-1"):
                await send(edge, 2)
            with pytest.raises(Refusal, match="was edited at press-1"):
                await send(edge, 3, overwrite=sha256(V3))
            assert commands(edge) == []
        machine.forget()
        async with shop(tmp_path, machine, hands=hands) as edge:
            await until(edge, lambda: seen(machine, State.EDITED))
            assert machine.said == [], "told once, restarts included"
            # Edited again since the person looked: that edit is not the one given up.
            there.write_bytes(V3)
            await send(edge, 4, overwrite=sha256(V2))
            await until(edge, ended(edge, CommandState.REFUSED))
            assert there.read_bytes() == V3
            await until(edge, lambda: machine.known().found == sha256(V3))
            await send(edge, 5, overwrite=sha256(V3))
            await until(edge, ended(edge, CommandState.DONE))
            assert there.read_bytes() == V1


async def test_a_program_that_runs_is_not_replaced(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs", earlier=f"[{sha256(V2)}]"))
        (tmp_path / "nc" / "O1000.nc").write_bytes(V2)
        machine.server.update({"state": 1, "program": "O1000"})
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.REFUSED))
            (command,) = edge.control.controls.commands.values()
            assert "is running (program = O1000) — wait until it ends" in command.detail
            assert (tmp_path / "nc" / "O1000.nc").read_bytes() == V2
            assert seen(machine, State.OUTDATED)
            assert edge.stations.view("brake-1").machines[0].programs[0].ran
            machine.server.update({"state": 0})
            await send(edge, 2)
            await until(edge, ended(edge, CommandState.DONE))
            assert (tmp_path / "nc" / "O1000.nc").read_bytes() == V1
            assert not machine.known().ran


async def test_a_lock_holds_a_program_back_until_production_has_accepted(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine) as edge:
            await until(edge, lambda: seen(machine, State.MISSING))
            await edge.stations.perform(
                "brake-1", asked.LockMachine(id="command-1", actor="K7", device="press-1", reason="jam")
            )
            with pytest.raises(Refusal, match="is locked by K7"):
                await send(edge, 2)
            assert list((tmp_path / "nc").iterdir()) == []


async def test_where_nothing_shows_what_runs_a_person_must_look(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc", WITHOUT_STATE) as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await until(edge, lambda: seen(machine, State.MISSING) and machine.known().wanted)
            assert edge.stations.view("brake-1").machines[0].programs[0].asks
            with pytest.raises(Refusal, match="Nothing shows whether press-1 runs O1000"):
                await send(edge, 2)
            assert commands(edge) == []
            await send(edge, 3, stands=True)
            await until(edge, ended(edge, CommandState.DONE))


@pytest.mark.parametrize(("arrived", "state"), [(True, CommandState.DONE), (False, CommandState.FAILED)])
async def test_after_a_kill_what_lies_at_the_machine_says_what_became_of_it(
    tmp_path: Path, *, arrived: bool, state: CommandState
) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine, sends=False) as edge:
            await send(edge, 1)
            await edge.stations.commit_control(edge.control.send("command-1"))
        if arrived:
            (tmp_path / "nc" / "O1000.nc").write_bytes(V1)
        async with shop(tmp_path, machine) as edge:
            await until(edge, ended(edge, state))
            (command,) = edge.control.controls.commands.values()
            assert command.detail.endswith("found afterwards")


async def test_what_a_kill_cut_off_is_told_and_completed_while_the_work_is_in_hand(tmp_path: Path) -> None:
    there = tmp_path / "nc" / "O1000.nc"
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine, sends=False) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.INTENDED))
            (command,) = edge.control.waiting()
            await edge.stations.commit_control(edge.control.send(command.id))
        there.write_bytes(V1[:9])
        machine.server.update({"state": 1, "program": "O2000"})
        async with shop(tmp_path, machine) as edge:
            await until(edge, ended(edge, CommandState.DONE))
            assert [state for _, state in commands(edge)] == [CommandState.FAILED, CommandState.DONE]
            first = edge.control.controls.commands[command.id]
            assert first.detail == (
                f"the machine holds {sha256(V1[:9])[:12]}, only its beginning, found afterwards"
            )
            assert there.read_bytes() == V1
            (told,) = machine.said
            assert isinstance(told, Notice)
            assert told.code == "program.partial"
            assert "only the beginning of O1000.nc is at the machine" in told.text


async def test_a_part_that_nobody_needs_now_is_told_and_lies_until_a_person_sends_it(tmp_path: Path) -> None:
    there = tmp_path / "nc" / "O1000.nc"
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        there.write_bytes(b"")
        async with shop(tmp_path, machine) as edge:
            await until(edge, lambda: seen(machine, State.PARTIAL))
            (program,) = edge.stations.view("brake-1").machines[0].programs
            assert program.state == "partial"
            assert there.read_bytes() == b""
            await send(edge, 1)
            await until(edge, ended(edge, CommandState.DONE))
            assert there.read_bytes() == V1


async def test_what_cannot_be_read_is_sent_by_nobody_at_the_station(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        (tmp_path / "nc" / "O1000.nc").mkdir()
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await until(edge, lambda: seen(machine, State.UNREADABLE) and machine.known().wanted)
            (program,) = edge.stations.view("brake-1").machines[0].programs
            assert "Is a directory" in program.detail
            with pytest.raises(Refusal, match=r"cannot be read at press-1 .*: call the engineer"):
                await send(edge, 2)
            assert commands(edge) == []


async def test_what_a_kill_kept_from_leaving_is_wanted_again_with_the_work(
    tmp_path: Path,
) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine, sends=False) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.INTENDED))
        async with shop(tmp_path, machine) as edge:
            await until(edge, ended(edge, CommandState.DONE))
            assert [state for _, state in commands(edge)] == [CommandState.EXPIRED, CommandState.DONE]
            assert (tmp_path / "nc" / "O1000.nc").read_bytes() == V1


async def test_another_release_is_sent_in_place_of_the_former_one(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.DONE))
            machine.renew(release_list(tmp_path / "programs", V3, earlier=f"[{sha256(V1)}]"))
            with pytest.raises(Refusal, match="released otherwise now"):
                await send(edge, 2)
            await until(edge, lambda: (tmp_path / "nc" / "O1000.nc").read_bytes() == V3)
            assert machine.said == []


async def test_a_file_that_changed_under_its_list_is_not_sent(tmp_path: Path) -> None:
    async with mill(tmp_path / "nc") as machine:
        machine.renew(release_list(tmp_path / "programs"))
        (tmp_path / "programs" / "O1000.nc").write_bytes(V2)
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.REFUSED))
            (command,) = edge.control.controls.commands.values()
            assert f"its content has the hash {sha256(V2)[:12]}, released is" in command.detail
            assert list((tmp_path / "nc").iterdir()) == []


async def test_an_opcua_server_gets_its_program_and_an_edit_there_is_found(tmp_path: Path) -> None:
    profile = check_profile(parse(OPCUA, "mill.yaml"))
    async with (
        file_server(piece=8) as server,
        OpcuaDriver(server.url, profile, OpcuaOptions(security="none")) as up,
    ):
        machine, hands = Mill(profile, up), Hands()
        machine.renew(release_list(tmp_path / "programs"))
        async with shop(tmp_path, machine, hands=hands) as edge:
            await take_in_hand(edge)
            await until(edge, ended(edge, CommandState.DONE))
            assert server.files["O1000.nc"].content == V1
            server.files["O1000.nc"].content = V2
            hands.seconds += keeper.INSPECT + 1
            await until(edge, lambda: seen(machine, State.EDITED))
            assert server.files["O1000.nc"].content == V2
            assert [type(event) for event in machine.said] == [Notice]


async def test_a_connection_that_is_closed_in_the_middle_leaves_the_command_unknown_and_the_edge_well(
    tmp_path: Path,
) -> None:
    profile = check_profile(parse(OPCUA, "mill.yaml"))
    async with (
        file_server(piece=8) as server,
        OpcuaDriver(server.url, profile, OpcuaOptions(security="none")) as up,
    ):
        machine = Mill(profile, up)
        machine.renew(release_list(tmp_path / "programs"))
        server.holds_after = 1
        async with shop(tmp_path, machine) as edge:
            await take_in_hand(edge)
            await server.held.wait()
            await up.close()
            machine.connected = None
            await until(edge, ended(edge, CommandState.UNKNOWN))
            server.holds_after = -1
            server.go.set()
            server.files["O1000.nc"].give_up()
            async with OpcuaDriver(server.url, profile, OpcuaOptions(security="none")) as anew:
                machine.connected = anew
                await until(edge, ended(edge, CommandState.DONE))
            assert [state for _, state in commands(edge)] == [CommandState.FAILED, CommandState.DONE]
            assert server.files["O1000.nc"].content == V1
