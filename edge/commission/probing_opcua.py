"""What can be found out about an OPC UA server: before anybody logs in, and after."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.driver import DriverError, Identity
from drivers.opcua.endpoints import Offer, offers
from drivers.opcua.options import user_pki
from drivers.opcua.profile import OpcuaProfile
from drivers.opcua.trust import Standing, TrustList, host_of, utc_now
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from edge.commission.fitting import Seen
from edge.commission.probing_report import Endpoint, Report, command
from edge.commission.trusting import certificate_rows
from edge.identity import Examination, examine
from protocols.values import Reason

ASK = 10.0
"""Seconds for what a server says of itself, or for the tags of one profile."""

ASKED = OpcuaProfile.model_validate(
    {
        "vendor": "any",
        "model": "any",
        "protocol": "opcua",
        "tags": {"clock": {"address": "i=2258", "type": "string"}},
    }
)
"""A node that every server has."""


async def look(
    url: str, options: Mapping[str, Any], library: Mapping[str, AnyProfile]
) -> tuple[Report, list[Seen]]:
    """Ask a server for its endpoints, and log in where that was said or its certificate is trusted.

    Raises:
        DriverError: it does not answer, or not as an OPC UA server does.
    """
    clock = asyncio.get_running_loop().time
    timeout = float(options.get("timeout", 4.0))
    begin = clock()
    offered = await offers(url, timeout)
    seconds = clock() - begin
    pki = Path(options["pki"]) if "pki" in options else user_pki()
    trusted = await asyncio.to_thread(_trusted, pki, offered)
    report = Report(url, "opcua", seconds, endpoints=[_endpoint(o, url, trusted) for o in offered])
    if offered:
        report.who = Identity(more={"server": offered[0].application, "application": offered[0].uri})
    login = _login(options, offered, trusted)
    if login is None:
        report.logged_in = False
        report.remarks.append(_why_not(offered))
        if any(o.certificate is not None and o.spoken and o.policy != "None" for o in offered):
            more = ["--pki", str(pki)] if "pki" in options else []
            report.next.append(command("trust", "add", url, *more))
        elif any(offer.policy == "None" for offer in offered):
            report.next.append(command("probe", url, "--option", "security=none"))
        return report, []
    report.options = login
    return report, await _inside(url, login, library, report)


def _trusted(pki: Path, offered: Sequence[Offer]) -> set[str]:
    """Fingerprints of those that are trusted."""
    known = TrustList(pki)
    shown = [offer.certificate for offer in offered if offer.certificate is not None]
    return {each.fingerprint for each in shown if known.standing(each.der) is Standing.TRUSTED}


def _endpoint(offer: Offer, url: str, trusted: set[str]) -> Endpoint:
    shown = offer.certificate
    made = Endpoint(offer.policy, offer.mode, usable=False, remark="", users=offer.users)
    if offer.policy == "None":
        return replace(made, remark="plain text: only with security=none")
    if not offer.spoken:
        return replace(made, remark="a policy that is not spoken here")
    if shown is None:
        return replace(made, remark="shows no certificate")
    remark = "certificate trusted" if shown.fingerprint in trusted else "certificate not trusted yet"
    rows = certificate_rows(shown, shown.findings(utc_now(), host_of(url), offer.uri))
    return replace(made, usable=True, remark=remark, certificate=rows)


def _login(options: Mapping[str, Any], offered: Sequence[Offer], trusted: set[str]) -> dict[str, Any] | None:
    """The options to log in with: those given, else the best endpoint whose certificate is trusted.

    Never plain text unless that was said.
    """
    if "security" in options:
        return dict(options)
    for offer in sorted(offered, key=lambda each: -each.level):
        known = offer.certificate is not None and offer.certificate.fingerprint in trusted
        if offer.spoken and offer.policy != "None" and known:
            return {"security": offer.policy.replace("_", ""), "mode": offer.mode, **options}
    return None


def _why_not(offered: Sequence[Offer]) -> str:
    if any(offer.spoken and offer.policy != "None" for offer in offered):
        return "what it is, it says only after a login: trust its certificate first"
    if any(offer.policy == "None" for offer in offered):
        return (
            "it offers plain text only: say --option security=none to log in, and keep it off other networks"
        )
    return "it offers nothing that is spoken here: enable Basic256Sha256 at the server"


async def _inside(
    url: str, login: Mapping[str, Any], library: Mapping[str, AnyProfile], report: Report
) -> list[Seen]:
    """Log in, ask what it is, then look through each profile; one connection after the other."""
    kind, seen = driver_type("opcua"), []
    try:
        async with asyncio.timeout(ASK), kind.create(url, ASKED, login) as driver:
            report.who = await driver.identify()
    except (DriverError, TimeoutError) as error:
        report.logged_in = False
        report.remarks.append(f"cannot log in: {_without(url, error)}")
        return []
    for name, profile in library.items():
        try:
            async with asyncio.timeout(ASK), kind.create(url, profile, login) as driver:
                examination = await examine(driver, ask=False)
                own = [tag for tag, about in profile.tags.items() if about.readable and _own(about.address)]
                missing = Reason.ILLEGAL_ADDRESS
                there = sum(r.reason is not missing for r in await driver.read(own)) if own else 0
        except (DriverError, TimeoutError) as error:
            report.remarks.append(f"{name} could not be compared: {_without(url, error)}")
            continue
        who = report.who
        firmware = examination.found.firmware or who.firmware
        found = Identity(who.vendor, who.product, who.serial, firmware)
        seen.append(Seen(name, profile, Examination(found, examination.checks), there, len(own)))
    return seen


def _own(address: str) -> bool:
    """Whether a node is the machine's own: those of the standard namespace are everywhere."""
    return address.startswith(("ns", "nsu")) and not address.startswith("ns=0;")


def _without(url: str, error: BaseException) -> str:
    """The message without the address, which stands above it."""
    return str(error).removeprefix(f"{url}: ") or f"no answer within {ASK:g} s"
