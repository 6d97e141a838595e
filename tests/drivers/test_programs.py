"""Released NC programs: by hash, not while they run, read back, and edits found."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers import patience, program_folder
from drivers.driver import (
    Capability,
    Confirmation,
    Driver,
    FileEntry,
    Files,
    InUse,
    ReadFailed,
    WriteFailed,
    WriteRefused,
)
from drivers.patience import Step, patiently
from drivers.profile.files import check_profile
from drivers.program_folder import Folder
from drivers.programs import (
    Released,
    Standing,
    deliver,
    inspect,
    same_program,
    sha256,
    told_apart,
    unfit_name,
)
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from protocols.documents import parse
from protocols.values import Reason, Value

PROFILE = """\
vendor: Acme
model: Mill
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state}
  program: {address: "holding:100", type: string, length: 20, role: program}
states:
  0: {item_state: not_executing}
  1: {item_state: executing}
"""
V1, V2 = b"%\nO1000\nG0 X0\nM30\n%\n", b"%\nO1000\nG0 X1\nM30\n%\n"
ONE = Confirmation("K7", "mill-1")


async def allowed() -> None:
    """Nothing stands against it any more."""


@asynccontextmanager
async def mill(folder: Path, text: str = PROFILE, **values: Any) -> AsyncIterator[tuple[Any, Any]]:
    profile = check_profile(
        parse(f"{text}files: {{path: {folder.as_posix()}, mounted: false}}\n", "mill.yaml")
    )
    kind = driver_type("modbus")
    server: ProfileServer = kind.serve(profile)
    server.update(values)
    async with server, kind.create(server.url, profile) as driver:
        yield server, driver


async def test_a_released_program_goes_to_the_machine_and_an_edit_made_there_is_found(tmp_path: Path) -> None:
    released = Released("doors/O1000.nc", sha256(V1))
    async with mill(tmp_path) as (_, driver):
        assert Capability.FILES in driver.capabilities
        assert isinstance(driver, Files)
        (found,) = await inspect(driver, [released])
        assert found.standing is Standing.MISSING
        sent = await deliver(driver, released, V1)
        assert sent.standing is Standing.RELEASED
        file = tmp_path / "doors" / "O1000.nc"
        assert file.read_bytes() == V1
        assert [(entry.name, entry.size) for entry in await driver.list_files()] == [
            ("doors/O1000.nc", len(V1))
        ]
        file.write_bytes(V2)
        (found,) = await inspect(driver, [released])
        assert found.standing is Standing.EDITED
        assert found.found == sha256(V2)
        assert "was edited at the machine" in str(found)
        with pytest.raises(WriteRefused, match="was edited at the machine"):
            await deliver(driver, released, V1)
        assert file.read_bytes() == V2
        await deliver(driver, released, V1, overwrite=True)
        assert file.read_bytes() == V1
        # A new release takes the place of the one before it.
        await deliver(driver, Released("doors/O1000.nc", sha256(V2)), V2, earlier=[sha256(V1)])
        assert file.read_bytes() == V2


async def test_what_is_there_already_is_not_sent_again_even_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "O1000").write_bytes(V1)
    os.utime(tmp_path / "O1000", (1, 1))
    async with mill(tmp_path, state=1, program="O1000") as (_, driver):
        await deliver(driver, Released("O1000", sha256(V1).upper()), V1)
        assert (await driver.list_files()) == [FileEntry("O1000", len(V1), 1_000_000)]


async def test_content_that_was_not_released_is_not_sent(tmp_path: Path) -> None:
    async with mill(tmp_path) as (_, driver):
        with pytest.raises(WriteRefused, match=f"has the hash {sha256(V2)[:12]}, released is"):
            await deliver(driver, Released("O1000", sha256(V1)), V2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("values", "failing", "why"),
    [
        ({"state": 1, "program": "O1000"}, "", r"is running \(program = O1000\) — wait until it ends"),
        ({"state": 1, "program": "C:\\NC\\o1000.NC"}, "", "is running"),
        ({"state": 1, "program": "O2000"}, "program", "is executing, and program has no good value"),
        ({"state": 0}, "state", "may be running: state has no good value"),
        ({"state": 7}, "", "may be running: its state 7 is not in the profile"),
    ],
)
async def test_a_program_that_runs_or_may_run_is_not_replaced(
    tmp_path: Path, values: dict[str, Any], failing: str, why: str
) -> None:
    (tmp_path / "O1000.nc").write_bytes(V1)
    async with mill(tmp_path, **values) as (server, driver):
        if failing:
            server.fail(failing, Reason.DEVICE_FAILURE)
        with pytest.raises(WriteRefused, match=why):
            await driver.put_file("O1000.nc", V2, ONE)
    assert (tmp_path / "O1000.nc").read_bytes() == V1


async def test_another_program_may_be_sent_while_one_runs_and_none_while_it_is_locked(tmp_path: Path) -> None:
    async with mill(tmp_path, state=1, program="O1000") as (_, driver):
        await driver.put_file("O2000.nc", V2)
        driver.refuses = "locked by K3: setting up"
        with pytest.raises(WriteRefused, match="cannot be changed now: locked by K3"):
            await driver.put_file("O3000.nc", V2, ONE)
    assert os.listdir(tmp_path) == ["O2000.nc"]


async def test_a_machine_that_shows_no_state_needs_a_person_who_looks(tmp_path: Path) -> None:
    text = PROFILE.replace(", role: state", "").partition("states:")[0]
    async with mill(tmp_path, text) as (_, driver):
        with pytest.raises(WriteRefused, match="confirm at the station that it is not"):
            await driver.put_file("P1", V1)
        await driver.put_file("P1", V1, ONE)
    text = PROFILE.replace(", role: program", "")
    async with mill(tmp_path, text, state=1) as (_, driver):
        with pytest.raises(WriteRefused, match="no tag with role program tells what"):
            await driver.put_file("P1", V2, ONE)


async def test_a_machine_that_keeps_something_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = Folder._draft

    def crlf(self: Folder, name: str, content: bytes, step: Step) -> Path:
        return draft(self, name, content.replace(b"\n", b"\r\n"), step)

    monkeypatch.setattr(Folder, "_draft", crlf)
    async with mill(tmp_path) as (_, driver):
        with pytest.raises(WriteFailed, match="the machine holds 25 bytes that differ from the 20 sent"):
            await driver.put_file("P1", V1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../P1",
        "a/../../P1",
        "/etc/passwd",
        "a//b",
        "a/.b",
        "C:\\P1",
        "P1\0",
        "a\nb",
        "x" * 201,
        ".",
        "P*",
    ],
)
async def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    assert unfit_name(name) is not None
    async with mill(tmp_path) as (_, driver):
        with pytest.raises(WriteRefused, match=r"name|cannot be in"):
            await driver.put_file(name, V1)
        with pytest.raises(ReadFailed):
            await driver.get_file(name)


@pytest.mark.parametrize("name", ["P1.nc", "Türen/O 1000.MPF", "门/一.nc", "a/b/c"])
def test_names_are_what_people_write(name: str) -> None:
    assert unfit_name(name) is None


@pytest.mark.parametrize(
    ("name", "shown", "same"),
    [
        ("O1000", "O1000", True),
        ("doors/O1000.nc", "o1000", True),
        ("O1000.nc", "//CNC_MEM/USER/PATH1/O1000", True),
        ("O1000.nc", " O1000.NC ", True),
        ("O1000.nc", "O1001", False),
        ("O1000.nc", "", False),
        ("O1000.nc", 1000, False),
    ],
)
def test_a_program_is_known_by_its_name(name: str, shown: Value, same: bool) -> None:
    assert same_program(name, shown) is same


async def test_a_folder_that_is_not_mounted_is_said_and_never_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "mnt")
    with pytest.raises(ReadFailed, match="mnt"):
        await folder.list_files()
    with pytest.raises(ReadFailed, match="is it mounted"):
        await folder.get_file("P1")
    with pytest.raises(WriteFailed, match="is it mounted"):
        await folder.put_file("P1", V1, allowed)
    assert not (tmp_path / "mnt").exists()


async def test_links_lead_nowhere_and_sizes_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "nc", tmp_path / "secret"
    inside.mkdir()
    outside.write_bytes(b"x")
    (inside / "link").symlink_to(outside)
    folder = Folder(inside, mounted=False)
    assert await folder.list_files() == []
    with pytest.raises(ReadFailed, match="leads out of"):
        await folder.get_file("link")
    with pytest.raises(ReadFailed, match="leads out of"):
        await folder.put_file("link", b"y", allowed)
    monkeypatch.setattr(program_folder, "MAX_FILE", 3)
    (inside / "big").write_bytes(b"four")
    with pytest.raises(ReadFailed, match="larger than"):
        await folder.get_file("big")
    monkeypatch.setattr(program_folder, "MAX_FILES", 0)
    with pytest.raises(ReadFailed, match="more than 0 files"):
        await folder.list_files()


async def test_a_profile_without_a_place_for_files_says_so() -> None:
    profile = check_profile(parse(PROFILE, "mill.yaml"))
    driver: Driver[Any] = driver_type("modbus").create("modbus://127.0.0.1:502", profile)
    assert Capability.FILES not in driver.capabilities
    with pytest.raises(ReadFailed, match="add files"):
        await driver.list_files()


async def test_two_programs_at_once_are_sent_one_after_the_other(tmp_path: Path) -> None:
    async with mill(tmp_path) as (_, driver):
        await asyncio.gather(*(driver.put_file("P1", bytes([n]) * 1000) for n in range(5)))
    assert len(set((tmp_path / "P1").read_bytes())) == 1


# --- what is left of a transfer, and folders that are not there or hang -----------------------------------


async def test_what_a_transfer_left_is_no_edit_and_is_sent_again_without_asking(tmp_path: Path) -> None:
    released = Released("O1000", sha256(V1))
    async with mill(tmp_path) as (_, driver):
        for part in (b"", V1[:7], V1[:-1]):
            (tmp_path / "O1000").write_bytes(part)
            (found,) = await inspect(driver, [released])
            assert (found.standing, found.size) == (Standing.EDITED, len(part))
            found = told_apart(found, V1)
            assert found.standing is Standing.PARTIAL
            assert f"only the first {len(part)} bytes" in str(found)
            await deliver(driver, released, V1)
            assert (tmp_path / "O1000").read_bytes() == V1
        for edit in (V2, V1 + b"x", V2[:-1]):
            (tmp_path / "O1000").write_bytes(edit)
            with pytest.raises(WriteRefused, match="was edited"):
                await deliver(driver, released, V1)


async def test_what_cannot_be_read_may_be_an_edit_and_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "O1000").write_bytes(V2)
    wanted = V1[:5]
    monkeypatch.setattr(program_folder, "MAX_FILE", len(V2) - 1)
    async with mill(tmp_path) as (_, driver):
        with pytest.raises(WriteRefused, match=r'"O1000" is unreadable: .* larger than'):
            await deliver(driver, Released("O1000", sha256(wanted)), wanted)
        assert (tmp_path / "O1000").read_bytes() == V2
        await deliver(driver, Released("O1000", sha256(wanted)), wanted, overwrite=True)
        assert (tmp_path / "O1000").read_bytes() == wanted


@pytest.mark.parametrize("change", ["starts", "is locked"])
async def test_a_machine_that_starts_the_program_while_it_is_sent_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    (tmp_path / "O1000").write_bytes(V1)
    async with mill(tmp_path) as (server, driver):
        draft = Folder._draft

        def meanwhile(self: Folder, name: str, content: bytes, step: Step) -> Path:
            if change == "starts":
                server.update({"state": 1, "program": "O1000"})
            else:
                driver.refuses = "locked by K3: setting up"
            return draft(self, name, content, step)

        monkeypatch.setattr(Folder, "_draft", meanwhile)
        with pytest.raises(WriteRefused, match="is running" if change == "starts" else "locked by K3") as no:
            await driver.put_file("O1000", V2)
        assert isinstance(no.value, InUse) is (change == "starts")
    assert (tmp_path / "O1000").read_bytes() == V1
    assert os.listdir(tmp_path) == ["O1000"], "no part is left"


async def test_the_empty_place_of_a_mount_takes_no_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "O1000").write_bytes(V1)
    for asking in (folder.list_files(), folder.get_file("O1000")):
        with pytest.raises(ReadFailed, match=f"nothing is mounted at {tmp_path}.* program_mount: false"):
            await asking
    with pytest.raises(WriteFailed, match="nothing is mounted"):
        await folder.put_file("P1", V1, allowed)
    assert os.listdir(tmp_path) == ["O1000"]


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="nothing is mounted at /dev/shm here")
async def test_a_folder_that_is_mounted_is_used() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        folder = Folder(Path(place))
        await folder.put_file("doors/O1000", V1, allowed)
        assert await folder.get_file("doors/O1000") == V1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that hangs when it is read")
async def test_a_folder_that_hangs_is_given_up_and_asked_again_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SILENCE", 0.2)
    folder, pipe = Folder(tmp_path, mounted=False), tmp_path / "O1000"
    os.mkfifo(pipe)
    with pytest.raises(ReadFailed, match=r"has not answered for 0\.2 s — is the machine switched on"):
        await folder.get_file("O1000")
    hanging = threading.active_count()
    for _ in range(20):
        with pytest.raises(ReadFailed, match="a request from before still hangs"):
            await folder.get_file("O1000")
    with pytest.raises(WriteFailed, match=r"was not sent.*still hangs"):
        await folder.put_file("P1", V1, allowed)
    assert threading.active_count() == hanging, "no thread more for each attempt"
    assert os.listdir(tmp_path) == ["O1000"]
    (thread,) = (each for each in threading.enumerate() if each.name == f"files-{tmp_path}")
    os.close(os.open(pipe, os.O_WRONLY))
    await asyncio.to_thread(thread.join, 10)
    await folder.put_file("P1", V1, allowed)
    assert await folder.get_file("P1") == V1


async def test_work_that_was_given_up_changes_nothing_later(tmp_path: Path) -> None:
    go, done = threading.Event(), threading.Event()

    def slow(step: Step) -> None:
        go.wait()
        try:
            step()
            (tmp_path / "late").write_bytes(V1)
        finally:
            done.set()

    with pytest.raises(TimeoutError, match="has not answered"):
        await patiently(tmp_path, slow, 0.05)
    assert await patiently(tmp_path.parent, lambda _: "other folders answer") == "other folders answer"
    go.set()
    await asyncio.to_thread(done.wait)
    assert os.listdir(tmp_path) == []


async def test_work_that_moves_is_waited_for_however_long_it_takes(tmp_path: Path) -> None:
    def steady(step: Step) -> str:
        for _ in range(10):
            time.sleep(0.04)
            step()
        return "through"

    assert await patiently(tmp_path, steady, 0.2) == "through"
