"""A model file is brought in from the browser: chosen, checked as through the API, refused with the reason.

The browser sends the file as it is to a path of its own, not through the library's upload: that would be kept
on disk for whoever knows the address, before anybody asked who sends it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from nicegui import ui

from cloud.api.accounts import Session
from cloud.api.answers import Reply
from cloud.api.roles import Role
from cloud.api.security import Gate, In
from cloud.context import Context
from cloud.hub import ModelsChanged
from cloud.web import login
from cloud.web.form_dialog import form_dialog
from cloud.web.planning import fields
from cloud.web.speech import Speech
from protocols.prognostics.deployment import MAX_FILE

PATH = "/models"
router = APIRouter(include_in_schema=False)
MEBIBYTE = 1024 * 1024
SECONDS = 120.0
"""Until a file of the greatest size must have been sent and checked."""

_SEND = """
return await (async () => {
  const [file] = document.getElementById(%(element)s).files;
  if (!file) return {status: 0};
  if (file.size > %(most)d) return {status: 413, bytes: file.size};
  try {
    const answer = await fetch(%(url)s, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: file,
    });
    return {...(await answer.json()), status: answer.status};
  } catch (error) {
    return {status: -1};
  }
})();
"""


def supervisor(request: Request, accounts: Gate) -> Session:
    """The session of a browser whose person may bring in models; raises HTTPException."""
    session = login.session_of(request, accounts)
    if session is None:
        raise HTTPException(401, "log in first: this session is over")
    if session.role is not Role.SUPERVISOR:
        raise HTTPException(403, f"{session.user} may look but not change anything: ask a supervisor")
    return session


@router.post(PATH)
async def receive(
    request: Request,
    context: In,
    accounts: Gate,
    scope: Annotated[str, Query(min_length=1, max_length=64)],
) -> Reply:
    """Take a model file in as a candidate; what is wrong with it is answered as by the API."""
    session = supervisor(request, accounts)  # before the body is read
    data, desk = await request.body(), context.models
    admitted = await asyncio.to_thread(desk.admit, data, scope)
    made = await context.database.run(lambda tx: desk.register(tx, admitted, session.user))
    context.hub.publish(ModelsChanged())
    return Reply(made)


@dataclass(slots=True, repr=False)
class ModelUpload:
    """Made in the current slot, empty until it is asked. ``allowed``: whether the person may still act."""

    context: Context
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _body: ui.element = field(init=False)
    _wrong: ui.label = field(init=False)
    _file: ui.element | None = field(default=None, init=False)
    _scope: ui.select | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._dialog, title, self._body, self._wrong = form_dialog(self.say, self._submit)
        title.set_text(self.say("Bring in a model of remaining life"))

    async def ask(self) -> None:
        """Show the form, until a model is taken or it is closed."""
        self._wrong.set_text("")
        self._body.clear()
        devices = self.context.site.devices()
        profiles = sorted({device.profile for device in devices.values()})
        scopes = {profile: self.say("all of type {name}", name=profile) for profile in profiles}
        say = self.say
        with self._body:
            ui.label(
                say(
                    "A file that `onelot maintenance train` wrote, at most {most} MiB, signed by a key that "
                    "is trusted here. It is a candidate then: nothing is scored with it yet.",
                    most=MAX_FILE // MEBIBYTE,
                )
            )
            with ui.element("div").classes("fields"):
                self._file = ui.element("input").props(
                    f'type=file accept=".json,application/json" aria-label="{say("Model file")}"'
                )
                self._scope = fields.choice(
                    say("For"), {**scopes, **{name: name for name in sorted(devices)}}
                )
        await self._dialog

    async def _submit(self) -> None:
        if not self.allowed() or self._file is None or self._scope is None:
            return
        if not self._scope.value:
            self._wrong.set_text(self.say("say what machines it is for"))
            return
        script = _SEND % {
            "element": json.dumps(self._file.html_id),
            "most": MAX_FILE,
            "url": f"'{PATH}?scope=' + encodeURIComponent({json.dumps(self._scope.value)})",
        }
        self._wrong.set_text(self.say("it is sent and checked …"))
        try:
            answer = await ui.run_javascript(script, timeout=SECONDS)
        except TimeoutError:
            answer = {"status": -1}
        refused = self._refusal(answer)
        self._wrong.set_text(refused)
        if not refused:
            found = answer["summary"]["validation"]
            ui.notify(
                self.say(
                    "{name} is a candidate: error {error} {unit}, {coverage} within the interval",
                    name=answer["summary"]["name"],
                    error=f"{found['rmse_capped']:.1f}",
                    unit=answer["summary"]["unit"],
                    coverage=f"{found['coverage']:.1%}",
                )
            )
            self._dialog.submit(None)

    def _refusal(self, answer: dict[str, Any]) -> str:
        """Why the file was not taken; empty where it was."""
        status = int(answer.get("status", -1))
        if status == 200:
            return ""
        if status == 0:
            return self.say("choose a file first")
        if status == 413:
            size, most = f"{answer.get('bytes', 0) / MEBIBYTE:.1f}", MAX_FILE // MEBIBYTE
            return self.say("the file has {size} MiB, a model has at most {most}", size=size, most=most)
        if status == -1:
            return self.say("it did not get through: try again")
        return self.say("refused, nothing was taken in: {why}", why=answer.get("detail", str(status)))
