"""The edge's file: durable on kill, grouped commits, refusals when full, schemas from the future."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from edge.outbox.store import OutboxFullError, SchemaTooNewError, Store, StoreError, StoreLimits

NOTES = Migrations("notes")


@NOTES(name="0001_note")
def _note(db: Database) -> None:
    db.conn.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def store(folder: Path, **limits: int) -> Store:
    return Store(folder / "edge.db", [NOTES], StoreLimits(**{"ballast": 0, **limits}))


def write(text: str, row: int | None = None) -> Callable[[sqlite3.Connection], int | None]:
    return lambda db: db.execute("INSERT INTO note VALUES (?, ?)", (row, text)).lastrowid


async def fill(opened: Store, *, urgent: bool = True) -> None:
    """Write until there is no room."""
    while True:
        await opened.run(write("x" * 20_000), urgent=urgent)


def pause(_: sqlite3.Connection) -> None:
    """Hold the writer thread, so that what comes next forms a group."""
    time.sleep(0.2)


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM note").fetchone()[0])


async def test_what_run_returned_is_there_after_reopening(tmp_path: Path) -> None:
    async with store(tmp_path) as opened:
        assert await opened.run(write("one")) == 1
        assert await opened.read(count) == 1
    async with store(tmp_path) as opened:
        assert await opened.read(count) == 1


async def test_a_work_that_fails_takes_none_of_its_group_with_it(tmp_path: Path) -> None:
    async with store(tmp_path) as opened:
        hold = opened.submit(pause)

        def fails(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO note VALUES (7, 'half')")
            raise LookupError("domain says no")

        works: list[Callable[[sqlite3.Connection], object]] = [
            write("a"),
            fails,
            write("b"),
            write("again", 1),
            write("c"),
        ]
        results = await asyncio.gather(*(opened.run(work) for work in works), return_exceptions=True)
        hold.result()
        assert isinstance(results[1], LookupError)
        assert isinstance(results[3], sqlite3.IntegrityError)
        assert await opened.read(
            lambda db: [text for (text,) in db.execute("SELECT text FROM note ORDER BY id")]
        ) == ["a", "b", "c"]


async def test_a_full_file_refuses_and_the_reserve_still_takes_actions(tmp_path: Path) -> None:
    async with store(tmp_path, max_bytes=1 << 20, reserve=256 << 10) as opened:
        with pytest.raises(OutboxFullError, match=r"edge\.db uses .* of 1\.0 MiB"):
            await fill(opened, urgent=False)
        before = await opened.read(count)
        for _ in range(5):
            await opened.run(write("x" * 20_000))
        assert await opened.read(count) == before + 5
        with pytest.raises(OutboxFullError, match=r"Free disk space or raise outbox\.max_bytes"):
            await fill(opened)
        assert (tmp_path / "edge.db").stat().st_size <= 1 << 20


async def test_relief_makes_room_for_an_action(tmp_path: Path) -> None:
    async with store(tmp_path, max_bytes=1 << 20, reserve=0) as opened:
        opened.on_full(lambda db: db.execute("DELETE FROM note WHERE id <= 10").rowcount > 0)
        with pytest.raises(OutboxFullError):
            await fill(opened, urgent=False)
        before = await opened.read(count)
        await opened.run(write("x" * 20_000))
        assert await opened.read(count) == before - 9


async def test_relief_that_fails_is_not_the_end_of_the_writer(tmp_path: Path) -> None:
    def rotten(_: sqlite3.Connection) -> bool:
        raise ValueError("a blob does not decode")

    async with store(tmp_path, max_bytes=1 << 20, reserve=0) as opened, asyncio.timeout(20):
        opened.on_full(rotten)
        with pytest.raises(OutboxFullError):
            await fill(opened)
        await opened.run(lambda db: db.execute("DELETE FROM note").rowcount)
        await opened.run(write("the thread is still there"))


async def test_whatever_breaks_a_commit_is_told_and_the_next_work_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with store(tmp_path) as opened, asyncio.timeout(20):
        with monkeypatch.context() as patched:
            patched.setattr(Store, "_commit_one", broken)
            with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
                await opened.run(write("lost"))
        await opened.run(write("kept"))
        assert await opened.read(count) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_the_end_of_the_writer_is_told_to_all_who_wait(tmp_path: Path) -> None:
    def die(_: sqlite3.Connection) -> None:
        raise SystemExit("the interpreter goes down")

    async with store(tmp_path) as opened, asyncio.timeout(20):
        works: list[Callable[[sqlite3.Connection], object]] = [pause, die, *([write("x")] * 100)]
        results = await asyncio.gather(*(opened.run(work) for work in works), return_exceptions=True)
        assert {type(result) for result in results[1:]} == {StoreError}
        with pytest.raises(StoreError, match="is closed"):
            await opened.run(count)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be taken away there")
async def test_a_file_that_the_reader_cannot_open_ends_the_opening(tmp_path: Path) -> None:
    taken = Migrations("notes")

    @taken(name="0001_note")
    def _take_away(_: Database) -> None:
        (tmp_path / "edge.db").unlink()
        (tmp_path / "edge.db").mkdir()

    async with asyncio.timeout(20):
        with pytest.raises(StoreError, match=r"cannot read .*edge\.db"):
            async with Store(tmp_path / "edge.db", [taken], StoreLimits(ballast=0)):
                pass


async def test_full_in_a_group_keeps_the_works_that_fit(tmp_path: Path) -> None:
    async with store(tmp_path, max_bytes=1 << 20, reserve=0) as opened:
        hold = opened.submit(pause)
        works = [write("x" * 300_000) if n % 2 else write("small") for n in range(12)]
        results = await asyncio.gather(
            *(opened.run(work, urgent=False) for work in works), return_exceptions=True
        )
        hold.result()
        refused = [result for result in results if isinstance(result, BaseException)]
        assert refused
        assert {type(error) for error in refused} == {OutboxFullError}
        assert await opened.read(count) == 12 - len(refused)
        assert not any(isinstance(result, BaseException) for result in results[::2])


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    newer = Migrations("notes")
    newer(name="0001_note")(_note)
    newer(name="0002_future")(lambda db: db.conn.execute("CREATE TABLE future (id INTEGER)"))
    async with Store(tmp_path / "edge.db", [newer]):
        pass
    with pytest.raises(SchemaTooNewError, match=r'"0002_future" of "notes".*Update OneLot'):
        async with store(tmp_path):
            pass


async def test_damage_and_a_closed_store_are_named(tmp_path: Path) -> None:
    (tmp_path / "edge.db").write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreError, match=r"edge\.db cannot be used: .*Restore it from a copy"):
        async with store(tmp_path):
            pass
    opened = Store(tmp_path / "other.db", [NOTES])
    async with opened:
        pass
    with pytest.raises(StoreError, match="is closed"):
        await opened.run(count)


async def test_two_processes_cannot_share_a_file(tmp_path: Path) -> None:
    async with store(tmp_path) as opened:
        with pytest.raises(StoreError, match=r"in use by another process: stop that edge agent first"):
            async with store(tmp_path):
                pass
        await opened.run(write("still mine"))
    async with store(tmp_path) as opened:
        assert await opened.read(count) == 1


async def test_ballast_is_held_and_given_up(tmp_path: Path) -> None:
    ballast = tmp_path / "edge.db.ballast"
    async with store(tmp_path, max_bytes=1 << 20, reserve=0, ballast=1 << 16) as opened:
        assert ballast.stat().st_size == 1 << 16
        with pytest.raises(OutboxFullError):
            await fill(opened)
        assert not ballast.exists()
    async with store(tmp_path, max_bytes=1 << 20, reserve=0, ballast=1 << 16):
        assert ballast.stat().st_size == 1 << 16


WRITER = """
import asyncio, sys
from pathlib import Path
from sqlite_utils import Migrations
from edge.outbox.store import Store, StoreLimits
NOTES = Migrations("notes")
@NOTES(name="0001_note")
def _note(db):
    db.conn.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
async def main():
    async with Store(Path(sys.argv[1]), [NOTES], StoreLimits(ballast=0)) as store:
        while True:
            row = await store.run(lambda db: db.execute("INSERT INTO note VALUES (NULL, 'x')").lastrowid)
            print(row, flush=True)
asyncio.run(main())
"""


def run_and_kill(file: Path, kill_after: int) -> int:
    """Start a writer, kill it after that many confirmed rows; returns the last row it confirmed."""
    confirmed = 0
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(kill_after):
            confirmed = int(writer.stdout.readline())
        writer.kill()
        return int([confirmed, *writer.stdout][-1])


async def test_kill_9_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    for kill_after in (3, 40, 150):
        confirmed = run_and_kill(tmp_path / "edge.db", kill_after)
        async with store(tmp_path) as opened:
            assert await opened.read(count) >= confirmed
