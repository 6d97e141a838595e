"""Accounts: no default password, tokens that end, wrong passwords that get slower."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from pwdlib import PasswordHash

from cloud.api.accounts import FIRST, Accounts, LoginRefusedError, TooManyTriesError
from cloud.api.roles import Role
from cloud.store.database import Database
from protocols.clock import Clock


class Time:
    """A clock's two hands, moved by the test."""

    def __init__(self) -> None:
        self.now = 1_790_000_000 * 10**9

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now)

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def accounts(tmp_path: Path, time: Time) -> Iterator[Accounts]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as database:
        database.create_all()
        yield Accounts(database, tmp_path / "data", time.clock())


def first_password(file: Path | None) -> str:
    assert file is not None
    lines = dict(line.split(": ", 1) for line in file.read_text().splitlines())
    assert lines["user"] == FIRST
    return lines["password"]


async def test_the_first_start_makes_one_account_and_later_ones_none(accounts: Accounts) -> None:
    file = accounts.prepare()
    password = first_password(file)
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert accounts.prepare() is None

    _, session = await accounts.login(FIRST, password)

    assert (session.user, session.role) == (FIRST, Role.SUPERVISOR)


def test_two_installations_have_different_passwords(tmp_path: Path, time: Time) -> None:
    found = set()
    for name in ("a", "b"):
        with Database(f"sqlite:///{tmp_path}/{name}.db") as database:
            database.create_all()
            found.add(first_password(Accounts(database, tmp_path / name, time.clock()).prepare()))
    assert len(found) == 2


@pytest.mark.parametrize(("name", "password"), [(FIRST, "wrong"), ("nobody", "wrong"), (FIRST, "")])
async def test_a_wrong_password_and_a_wrong_name_sound_the_same(
    accounts: Accounts, name: str, password: str
) -> None:
    accounts.prepare()
    with pytest.raises(LoginRefusedError, match=r"^user or password is wrong$"):
        await accounts.login(name, password)


async def test_after_five_wrong_passwords_there_is_a_pause(accounts: Accounts, time: Time) -> None:
    password = first_password(accounts.prepare())
    for _ in range(5):
        with pytest.raises(LoginRefusedError, match="wrong"):
            await accounts.login(FIRST, "guess")
    with pytest.raises(TooManyTriesError, match="try again in 30 s"):
        await accounts.login(FIRST, password)

    time.forward(31)

    await accounts.login(FIRST, password)


async def test_a_token_ends(accounts: Accounts, time: Time) -> None:
    token, _ = accounts.token(FIRST, Role.VIEWER)
    session = accounts.session(token)
    assert session is not None
    assert session.role is Role.VIEWER

    time.forward(12 * 3600 + 1)

    assert accounts.session(token) is None


@pytest.mark.parametrize(
    "forged", ["", "x.y.z", jwt.encode({"sub": "a", "role": "supervisor", "exp": 2**40}, "k" * 32)]
)
def test_a_forged_token_is_none(accounts: Accounts, forged: str) -> None:
    assert accounts.session(forged) is None


async def test_a_changed_password_counts_at_once(accounts: Accounts) -> None:
    old = first_password(accounts.prepare())
    await accounts.change_password(FIRST, "a much better one")

    await accounts.login(FIRST, "a much better one")
    with pytest.raises(LoginRefusedError):
        await accounts.login(FIRST, old)


async def test_a_changed_password_ends_the_sessions_of_the_old_one(accounts: Accounts) -> None:
    token, session = await accounts.login(FIRST, first_password(accounts.prepare()))
    assert accounts.session(token) == session

    await accounts.change_password(FIRST, "a much better one")

    assert accounts.expired(session)
    assert accounts.session(token) is None
    again, session = await accounts.login(FIRST, "a much better one")
    later = Accounts(accounts.database, accounts.folder, accounts.clock)
    later.prepare()
    assert (later.session(again), later.session(token)) == (session, None)


async def test_hashing_leaves_the_event_loop_free(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.prepare()
    threads = []
    whole = PasswordHash.hash

    def hashing(self: PasswordHash, password: str | bytes) -> str:
        threads.append(threading.current_thread())
        return whole(self, password)

    monkeypatch.setattr(PasswordHash, "hash", hashing)
    await accounts.change_password(FIRST, "a much better one")
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
