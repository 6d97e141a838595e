"""Who may log in: accounts with a hashed password, the credential of the first start, session tokens.

There is no default password. The first start makes one account with a random password and leaves it in a
file that only the service's own user may read.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

import jwt
import msgspec
from pwdlib import PasswordHash
from pydantic import StringConstraints
from sqlalchemy import Column, Connection, String, Table, insert, select, update

from cloud.store.database import Database
from cloud.store.metadata import METADATA, Time
from protocols.clock import Clock
from protocols.values import MICROSECONDS

ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", String(255), nullable=False),
    Column("created", Time, nullable=False),
)

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,32}$")]
FIRST = "supervisor"
FIRST_LOGIN_FILE = "first-login.txt"
KEY_FILE = "session.key"
TOKEN_SECONDS = 12 * 3600
MAX_FAILURES = 5
PAUSE_SECONDS = 30
"""After :data:`MAX_FAILURES` wrong passwords an account answers nobody for so long."""
MAX_AT_ONCE = 4
"""Passwords checked at once: each costs a good part of a second and 64 MB, by design."""


class Role(StrEnum):
    """What an account may do: look, say when a machine is to be maintained, or order and decide as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    """Whoever works at the machines: may keep, move, free or refuse a maintenance order, with a reason."""
    SUPERVISOR = "supervisor"


class Session(msgspec.Struct, frozen=True):
    """A valid token's content. It counts until ``expires`` (seconds since 1970), until it is ended (log-out;
    ``id`` says which one it is) or until the account gets another password: ``generation`` says which one it
    was given for.
    """

    user: str
    role: Role
    expires: int
    generation: str = ""
    id: str = ""


class LoginRefusedError(Exception):
    """Wrong name or password; never says which of the two."""


class TooManyTriesError(Exception):
    """Too many wrong passwords, or too many people at the door at once: try again in ``seconds``."""

    def __init__(self, what: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"{what}: try again in {max(1, round(seconds))} s")


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    until: float = 0.0


@dataclass
class Accounts:
    """Accounts in the database, keys in ``folder``."""

    database: Database
    folder: Path
    clock: Clock
    _tries: dict[str, _Tries] = field(default_factory=dict, init=False)
    _generations: dict[str, str] = field(default_factory=dict, init=False)
    _ended: dict[str, int] = field(default_factory=dict, init=False)
    _checking: int = field(default=0, init=False)
    _hasher: PasswordHash = field(default_factory=PasswordHash.recommended, init=False)

    def prepare(self) -> Path | None:
        """Get ready; make the first account when there is none. The file its credential is in, or None."""
        password = secrets.token_urlsafe(12)
        hashed = self._hasher.hash(password)

        def first(tx: Connection) -> bool:
            if tx.execute(select(ACCOUNT.c.name).limit(1)).first() is not None:
                return False
            # the file first: an account whose password nobody ever saw would lock everybody out
            _write_private(self.folder / FIRST_LOGIN_FILE, f"user: {FIRST}\npassword: {password}\n")
            tx.execute(
                insert(ACCOUNT).values(
                    name=FIRST, role=Role.SUPERVISOR, password=hashed, created=self.clock.now()
                )
            )
            return True

        made = self.database.write(first).result()
        with self.database.read() as reader:
            rows = reader.execute(select(ACCOUNT.c.name, ACCOUNT.c.password)).all()
        self._generations = {name: _generation(hashed) for name, hashed in rows}
        return self.folder / FIRST_LOGIN_FILE if made else None

    async def login(self, name: str, password: str) -> tuple[str, Session]:
        """Token and session; raises LoginRefusedError or TooManyTriesError."""
        now = self.clock.monotonic()
        tries = self._tries.setdefault(name, _Tries())
        if tries.until > now:
            raise TooManyTriesError("too many wrong passwords", tries.until - now)
        if self._checking >= MAX_AT_ONCE:
            raise TooManyTriesError("too many people log in at once", 1.0)

        def check(tx: Connection) -> tuple[Role, str] | None:
            row = tx.execute(select(ACCOUNT.c.password, ACCOUNT.c.role).where(ACCOUNT.c.name == name)).first()
            # an unknown name costs the same time as a known one
            valid = self._hasher.verify(password, row.password if row is not None else self._nobody)
            return (Role(row.role), _generation(row.password)) if row is not None and valid else None

        self._checking += 1
        try:
            found = await self.database.query(check)
        finally:
            self._checking -= 1
        if found is None:
            tries.failures += 1
            if tries.failures >= MAX_FAILURES:
                tries.failures, tries.until = 0, now + PAUSE_SECONDS
            if len(self._tries) > 1000:
                self._tries.clear()
            raise LoginRefusedError("user or password is wrong")
        self._tries.pop(name, None)
        return self.token(name, *found)

    def token(self, name: str, role: Role, generation: str = "") -> tuple[str, Session]:
        """A signed token for an account, and what is in it."""
        expires = self.clock.now() // MICROSECONDS + TOKEN_SECONDS
        number = secrets.token_urlsafe(9)
        claims = {"sub": name, "role": role, "exp": expires, "gen": generation, "jti": number}
        signed = jwt.encode(claims, self._key, algorithm="HS256")
        return signed, Session(name, role, expires, generation, number)

    def session(self, token: str) -> Session | None:
        """The session of a token; None when it is not ours or over."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                options={"require": ["exp", "sub", "gen", "jti"], "verify_exp": False},
            )
            session = Session(
                str(claims["sub"]),
                Role(claims["role"]),
                int(claims["exp"]),
                str(claims["gen"]),
                str(claims["jti"]),
            )
        except (jwt.InvalidTokenError, ValueError, KeyError):
            return None
        return None if self.expired(session) else session

    def expired(self, session: Session) -> bool:
        """Whether a session is over or ended, or its account has another password by now."""
        if session.id in self._ended or session.generation != self._generations.get(session.user, ""):
            return True
        return session.expires <= self.clock.now() // MICROSECONDS

    def end(self, session: Session) -> None:
        """Log out: the token counts no more, whoever else has it. A restart of the service forgets that; the
        token's own end is near by then.
        """
        now = self.clock.now() // MICROSECONDS
        self._ended = {number: until for number, until in self._ended.items() if until > now}
        self._ended[session.id] = session.expires

    async def change_password(self, name: str, password: str) -> None:
        """Give an account a new password; all its sessions end."""
        hashed = await asyncio.to_thread(self._hasher.hash, password)

        def write(tx: Connection) -> None:
            tx.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(password=hashed))

        await self.database.run(write)
        self._generations[name] = _generation(hashed)

    @cached_property
    def _key(self) -> str:
        file = self.folder / KEY_FILE
        if not file.exists():
            _write_private(file, secrets.token_hex(32))
        return file.read_text("utf-8").strip()

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(12))


def _generation(hashed: str) -> str:
    """Which password it is, without saying anything about it: a few digits of its salted hash's digest."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
