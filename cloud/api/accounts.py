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
from functools import cached_property
from pathlib import Path
from typing import Annotated

import jwt
import msgspec
import structlog
from pwdlib import PasswordHash
from pydantic import StringConstraints
from sqlalchemy import Column, Connection, String, Table, delete, insert, select, update

from cloud.api.roles import Role
from cloud.store.database import Database
from cloud.store.metadata import METADATA, Time
from protocols.clock import Clock
from protocols.values import MICROSECONDS

_log = structlog.get_logger(__name__)

ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", String(255), nullable=False),
    Column("created", Time, nullable=False),
)

NAME = r"^[a-z0-9._-]{1,32}$"
AccountName = Annotated[str, StringConstraints(pattern=NAME)]
LEAST_PASSWORD, MOST_PASSWORD = 10, 200
"""Characters of a password that a person chooses."""
MAX_ACCOUNTS = 1000
FIRST = "supervisor"
FIRST_LOGIN_FILE = "first-login.txt"
KEY_FILE = "session.key"
TOKEN_SECONDS = 12 * 3600
MAX_FAILURES = 5
PAUSE_SECONDS = 30
"""After :data:`MAX_FAILURES` wrong passwords an account answers nobody for so long."""
MAX_AT_ONCE = 4
"""Passwords checked at once: each costs a good part of a second and 64 MB, by design."""


class Session(msgspec.Struct, frozen=True):
    """A valid token's content. It counts until ``expires`` (seconds since 1970), until it is ended (log-out;
    ``id`` says which one it is) or until the account gets another password or role, or is removed:
    ``generation`` says which ones it was given for.
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


class Account(msgspec.Struct, frozen=True):
    """Who may log in, and what the account may do; ``created`` in µs UTC."""

    name: str
    role: Role
    created: int


class NoSuchAccountError(KeyError):
    """There is no account of that name."""


class AccountRefusedError(ValueError):
    """Something that cannot be done with an account; ``phrase`` with ``values`` says why, in English."""

    def __init__(self, phrase: str, **values: str) -> None:
        self.phrase, self.values = phrase, values
        super().__init__(phrase.format(**values))


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
            rows = reader.execute(select(ACCOUNT.c.name, ACCOUNT.c.password, ACCOUNT.c.role)).all()
        self._generations = {name: _generation(hashed, role) for name, hashed, role in rows}
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
            if row is None or not valid:
                return None
            return Role(row.role), _generation(row.password, row.role)

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
        """Give an account a new password; all its sessions end. Raises NoSuchAccountError."""
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        await self._change(name, password=hashed)

    # --- the accounts of others -----------------------------------------------------------------------

    async def accounts(self) -> list[Account]:
        """Every account, by name."""
        query = select(ACCOUNT.c.name, ACCOUNT.c.role, ACCOUNT.c.created).order_by(ACCOUNT.c.name)

        def read(tx: Connection) -> list[Account]:
            return [Account(row.name, Role(row.role), row.created) for row in tx.execute(query)]

        return await self.database.query(read)

    async def add(self, name: str, role: Role, by: str) -> str:
        """Make an account; its password, which nobody is told again. Raises AccountRefusedError."""
        password, hashed = await self._new_password()

        def write(tx: Connection) -> None:
            if tx.execute(select(ACCOUNT.c.name).where(ACCOUNT.c.name == name)).first() is not None:
                raise AccountRefusedError("there is an account {name} already", name=name)
            if len(tx.execute(select(ACCOUNT.c.name)).all()) >= MAX_ACCOUNTS:
                raise AccountRefusedError(
                    "there are {most} accounts: remove one first", most=str(MAX_ACCOUNTS)
                )
            row = {"name": name, "role": role, "password": hashed, "created": self.clock.now()}
            tx.execute(insert(ACCOUNT).values(row))

        await self.database.run(write)
        self._generations[name] = _generation(hashed, role)
        _log.info("account.added", account=name, role=role, by=by)
        return password

    async def renew_password(self, name: str, by: str) -> str:
        """Give an account a password by chance, as its own is lost; all its sessions end. Raises
        NoSuchAccountError.
        """
        password, hashed = await self._new_password()
        await self._change(name, password=hashed)
        _log.info("account.password_renewed", account=name, by=by)
        return password

    async def change_role(self, name: str, role: Role, by: str) -> None:
        """Let an account do more or less; all its sessions end. Raises NoSuchAccountError and
        AccountRefusedError.
        """
        await self._change(name, role=role)
        _log.info("account.role_changed", account=name, role=role, by=by)

    async def remove(self, name: str, by: str) -> None:
        """Let an account log in no more; all its sessions end. What it did stays under its name. Raises
        NoSuchAccountError and AccountRefusedError.
        """

        def write(tx: Connection) -> None:
            _require_another_supervisor(tx, name)
            if not tx.execute(delete(ACCOUNT).where(ACCOUNT.c.name == name)).rowcount:
                raise NoSuchAccountError(name)

        await self.database.run(write)
        self._generations.pop(name, None)
        _log.info("account.removed", account=name, by=by)

    async def _change(self, name: str, **fields: str) -> None:
        def write(tx: Connection) -> str:
            if fields.get("role", Role.SUPERVISOR) != Role.SUPERVISOR:
                _require_another_supervisor(tx, name)
            if not tx.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(fields)).rowcount:
                raise NoSuchAccountError(name)
            row = tx.execute(select(ACCOUNT.c.password, ACCOUNT.c.role).where(ACCOUNT.c.name == name)).one()
            return _generation(row.password, row.role)

        self._generations[name] = await self.database.run(write)

    async def _new_password(self) -> tuple[str, str]:
        password = secrets.token_urlsafe(12)
        return password, await asyncio.to_thread(self._hasher.hash, password)

    @cached_property
    def _key(self) -> str:
        file = self.folder / KEY_FILE
        if not file.exists():
            _write_private(file, secrets.token_hex(32))
        return file.read_text("utf-8").strip()

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(12))


def _require_another_supervisor(tx: Connection, name: str) -> None:
    """Somebody must be left who can make accounts."""
    supervisors = tx.execute(select(ACCOUNT.c.name).where(ACCOUNT.c.role == Role.SUPERVISOR)).scalars().all()
    if supervisors == [name]:
        raise AccountRefusedError("{name} is the only supervisor: make another one first", name=name)


def _generation(hashed: str, role: str) -> str:
    """Which password and role it is, without saying anything about the former: a few digits of the digest of
    its salted hash.
    """
    return hashlib.sha256(f"{role} {hashed}".encode()).hexdigest()[:16]


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
