"""Accounts and models of remaining life in a real browser: made, shown once, refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WAIT = 15_000


async def an_operator_is_let_in(view: Any) -> None:
    """Made from the top of the page, with a password that is shown this once; then removed again."""
    await view.locator(".top button", has_text="supervisor").click()
    sheet = view.locator(".accounts")
    name = sheet.get_by_label("Name: small letters and digits")
    await name.fill("Op 7")
    await sheet.get_by_role("button", name="add account").click()
    await sheet.locator(".wrong >> text=a name has 1 to 32 small letters").wait_for(timeout=WAIT)
    await sheet.get_by_label("Name: small letters and digits").fill("op-7")
    await sheet.get_by_role("button", name="add account").click()
    await sheet.locator(".told >> text=password of op-7:").wait_for(timeout=WAIT)
    row = sheet.locator('[data-account="op-7"]')
    await row.locator("text=operator").first.wait_for(timeout=WAIT)
    await row.get_by_role("button", name="remove").click()
    await row.get_by_role("button", name="remove op-7 for good").click()
    await sheet.locator(".told >> text=op-7 is removed").wait_for(timeout=WAIT)
    await row.wait_for(state="detached", timeout=WAIT)
    await sheet.locator('[aria-label="close this"]').click()


async def a_model_is_refused(view: Any, folder: Path) -> None:
    """What is missing is said before anything is sent; what the service says comes word for word."""
    file = folder / "model.json"
    file.write_text("{}")
    await view.click('[data-open="risk"]')
    await view.get_by_role("button", name="bring in a model").click()
    form = view.locator(".case-form", has_text="Bring in a model")
    await form.get_by_role("button", name="ok").click()
    await form.locator("text=say what machines it is for").wait_for(timeout=WAIT)
    await form.locator('[aria-label="For"]').click()
    await view.locator(".q-menu >> text=laser-1").first.click()
    await form.get_by_role("button", name="ok").click()
    await form.locator("text=choose a file first").wait_for(timeout=WAIT)
    await form.locator("input[type=file]").set_input_files(str(file))
    await form.get_by_role("button", name="ok").click()
    await form.locator("text=refused, nothing was taken in: no key is trusted here").wait_for(timeout=WAIT)
    await form.get_by_role("button", name="cancel").click()
    await view.click('.sheet [aria-label="close this"] >> visible=true')
