"""Who may log in: everybody changes their own password here, supervisors make and change the accounts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from nicegui import ui

from cloud.api.accounts import (
    LEAST_PASSWORD,
    MOST_PASSWORD,
    NAME,
    Account,
    AccountRefusedError,
    Accounts,
    LoginRefusedError,
    NoSuchAccountError,
    Session,
    TooManyTriesError,
)
from cloud.api.roles import Role
from cloud.web.planning import fields
from cloud.web.speech import Speech

ROLES = {
    Role.VIEWER: "viewer: looks at everything",
    Role.OPERATOR: "operator: says when a machine is maintained",
    Role.SUPERVISOR: "supervisor: orders and decides",
}


@dataclass(slots=True, repr=False)
class AccountDialog:
    """Made in the current slot, empty until it is opened. ``allowed``: whether ``session`` still counts."""

    accounts: Accounts
    session: Session
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _body: ui.element = field(init=False)
    _told: ui.label = field(init=False)
    _wrong: ui.label = field(init=False)

    def __post_init__(self) -> None:
        with ui.dialog() as self._dialog, ui.card().classes("sheet accounts"):
            with ui.element("div").classes("choose"):
                ui.label(self.say("Accounts")).classes("title fill")
                ui.button("✕", on_click=self._dialog.close).props(
                    f'flat dense aria-label="{self.say("close this")}"'
                )
            self._told = ui.label("").classes("told").props('role="status"')
            self._wrong = ui.label("").classes("wrong").props('role="alert"')
            self._body = ui.element("div").classes("content")

    async def open(self) -> None:
        """Show who may log in."""
        if not self.allowed():
            return
        self._said("")
        await self._fill()
        self._dialog.open()

    async def _fill(self) -> None:
        supervises = self.session.role is Role.SUPERVISOR
        found = await self.accounts.accounts() if supervises else []
        self._body.clear()
        with self._body:
            for account in found:
                self._row(account)
            if supervises:
                self._new()
            self._own()

    # --- parts ----------------------------------------------------------------------------------------

    def _row(self, account: Account) -> None:
        say, name = self.say, account.name
        with ui.element("div").classes("account").props(f'data-account="{name}"'):
            ui.label(name).classes("fill account-name")
            if name == self.session.user:
                ui.label(f"{say(str(account.role))} · {say('you')}").classes("ok")
                return
            roles = {role: say(str(role)) for role in Role}
            chosen = fields.choice(say("Role"), roles, account.role)
            chosen.on_value_change(lambda event: self._do(partial(self._change_role, name, event.value)))
            ui.button(say("new password"), on_click=lambda: self._do(partial(self._renew, name))).props(
                "flat dense no-caps"
            )
            remove = ui.button(say("remove")).props("flat dense no-caps")
            really = ui.button(
                say("remove {name} for good", name=name),
                on_click=lambda: self._do(partial(self._remove, name)),
            ).props("unelevated dense no-caps color=negative")
            really.set_visibility(False)
            remove.on_click(lambda: (remove.set_visibility(False), really.set_visibility(True)))

    def _new(self) -> None:
        say = self.say
        ui.label(say("New account")).classes("part")
        with ui.element("div").classes("fields"):
            name = fields.text(say("Name: small letters and digits"), 32)
            role = fields.choice(say("Role"), {r: say(words) for r, words in ROLES.items()}, Role.OPERATOR)
        with ui.element("div").classes("acts"):
            ui.button(
                say("add account"),
                on_click=lambda: self._do(partial(self._add, name.value or "", role.value)),
            ).props("unelevated no-caps")

    def _own(self) -> None:
        say = self.say
        ui.label(say("Your own password")).classes("part")
        with ui.element("div").classes("fields"):
            old = fields.text(say("Password now"), MOST_PASSWORD)
            new = fields.text(say("Password from now on"), MOST_PASSWORD)
            for one in (old, new):
                one.props("type=password autocomplete=off")
        with ui.element("div").classes("acts"):
            ui.button(
                say("change it"),
                on_click=lambda: self._do(partial(self._change_own, old.value or "", new.value or "")),
            ).props("outline no-caps")

    # --- what is done ---------------------------------------------------------------------------------

    async def _do(self, work: Callable[[], Awaitable[str]]) -> None:
        """Do it, say what came of it or why not, and show the accounts as they are then."""
        if not self.allowed():
            return
        try:
            self._said(await work())
        except AccountRefusedError as error:
            self._said("", self.say(error.phrase, **error.values))
        except NoSuchAccountError:
            self._said("", self.say("somebody removed this account already"))
        except (LoginRefusedError, TooManyTriesError) as error:
            self._said("", self.say(str(error)))
            return
        await self._fill()

    async def _add(self, name: str, role: Role) -> str:
        name = name.strip()
        if not re.fullmatch(NAME, name):
            raise AccountRefusedError("a name has 1 to 32 small letters, digits, dots, dashes, underscores")
        return self._shown(name, await self.accounts.add(name, role, self.session.user))

    async def _renew(self, name: str) -> str:
        return self._shown(name, await self.accounts.renew_password(name, self.session.user))

    async def _change_role(self, name: str, role: Role) -> str:
        await self.accounts.change_role(name, role, self.session.user)
        return self.say("{name} is {role} now, and logs in anew", name=name, role=self.say(str(role)))

    async def _remove(self, name: str) -> str:
        await self.accounts.remove(name, self.session.user)
        return self.say("{name} is removed", name=name)

    async def _change_own(self, old: str, new: str) -> str:
        if not LEAST_PASSWORD <= len(new) <= MOST_PASSWORD:
            raise AccountRefusedError(
                "a password has {least} to {most} characters",
                least=str(LEAST_PASSWORD),
                most=str(MOST_PASSWORD),
            )
        await self.accounts.login(self.session.user, old)
        await self.accounts.change_password(self.session.user, new)
        ui.navigate.to("/login")
        return ""

    def _shown(self, name: str, password: str) -> str:
        return self.say(
            "password of {name}: {password} — write it down now, it is not shown again",
            name=name,
            password=password,
        )

    def _said(self, told: str, wrong: str = "") -> None:
        self._told.set_text(told)
        self._wrong.set_text(wrong)
