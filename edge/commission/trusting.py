"""``onelot driver trust``: which OPC UA servers are trusted, decided by a person who saw the fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.opcua.options import user_pki
from drivers.opcua.trust import Certificate, Finding, Standing, TrustList, host_of, utc_now
from edge.commission.asking import AsJson, Url, columns, fail, print_json
from edge.commission.probing_report import command
from edge.commission.running import agreed, finished

app = typer.Typer(help="Which OPC UA servers are trusted: list, add, remove.", no_args_is_help=True)

Pki = Annotated[
    Path | None,
    typer.Option(help="Folder of certificates: an edge's is <data>/pki; the user's own when left out."),
]
LEAST_DIGITS = 16
"""Of a fingerprint that is given instead of an answer: fewer could be met by trying."""


@app.command("list")
def list_trusted(pki: Pki = None, as_json: AsJson = False) -> None:
    """List the certificates that are trusted, and those that were met and are not."""
    folder = pki or user_pki()
    if folder.exists() and not folder.is_dir():
        raise fail(f"--pki {folder} is a file — name the edge's folder, <data>/pki")
    found = TrustList(folder).list()
    if as_json:
        rows = [{"standing": str(standing), **certificate_rows(shown)} for standing, shown in found]
        print_json({"pki": str(folder), "certificates": rows})
        return
    for standing, shown in found:
        typer.echo(f"{standing}  {shown.name}")
        typer.echo(described_at_length(shown, shown.findings(utc_now())))
    trusted = sum(standing is Standing.TRUSTED for standing, _ in found)
    typer.echo(f"{trusted} trusted, {len(found) - trusted} rejected in {folder}")


@app.command("add")
def add_server(
    url: Url,
    pki: Pki = None,
    fingerprint: Annotated[
        str, typer.Option(help=f"Trust it only if its SHA-256 begins so ({LEAST_DIGITS} digits or more).")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Trust whatever it shows, without asking.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to wait for an answer.")] = 4.0,
    as_json: AsJson = False,
) -> None:
    """Trust an OPC UA server: fetches its certificate, shows it, and asks.

    Compare the fingerprint with the one that the server itself shows. Only this certificate is trusted.
    """
    from drivers.opcua.driver import check_url
    from drivers.opcua.endpoints import offers

    try:
        check_url(url)
    except ValueError as error:
        raise fail(str(error)) from None
    wanted = digits(fingerprint)
    if fingerprint and len(wanted) < LEAST_DIGITS:
        raise fail(f'--fingerprint "{fingerprint}": {len(wanted)} digits, {LEAST_DIGITS} are the least')
    shown: dict[str, tuple[Certificate, str]] = {}
    for offer in finished(offers(url, timeout), f"{url}: asking for its certificate"):
        if offer.certificate is not None:
            shown.setdefault(offer.certificate.fingerprint, (offer.certificate, offer.uri))
    if not shown:
        raise fail(f"{url}: the server shows no certificate — give the server one, or use security=none")
    chosen = [each for each in shown.values() if each[0].fingerprint.startswith(wanted)]
    if not chosen:
        there = ", ".join(name for name in shown)
        raise fail(f"{url}: no certificate begins with {wanted}; it shows {there} — nothing was trusted")
    if len(chosen) > 1:
        several = f"{url}: the server shows {len(chosen)} certificates"
        raise fail(f"{several} — name one with --fingerprint: {', '.join(shown)}")
    certificate, uri = chosen[0]
    findings = certificate.findings(utc_now(), host_of(url), uri)
    trusted = TrustList(pki or user_pki())
    known = trusted.standing(certificate.der) is Standing.TRUSTED
    if not as_json or not (known or wanted or yes):
        typer.echo(f'{url} shows "{certificate.name}"', err=as_json)
        typer.echo(described_at_length(certificate, findings), err=as_json)
    if not (known or wanted or yes) and not agreed("Is that the server's own fingerprint? Trust it?"):
        raise fail(f"nothing was trusted — without a person, say --fingerprint {certificate.fingerprint}")
    try:
        trusted.add(certificate.der)
    except OSError as error:
        raise fail(f"{error.filename or trusted.folder}: {error.strerror or error}") from None
    if as_json:
        rows = certificate_rows(certificate, findings)
        print_json({"pki": str(trusted.folder), "trusted": True, "was_trusted": known, **rows})
    else:
        typer.echo(f"{'was trusted already' if known else 'trusted'} in {trusted.folder}")
        more = ["--option", f"pki={pki}"] if pki is not None else []
        typer.echo(f"next  {command('probe', url, *more)}")


@app.command("remove")
def remove_server(
    fingerprint: Annotated[str, typer.Argument(help="SHA-256 or SHA-1 fingerprint, or 8 digits of it.")],
    pki: Pki = None,
    as_json: AsJson = False,
) -> None:
    """Trust a server no more. An edge that is connected stays so until the next connection."""
    folder = pki or user_pki()
    try:
        gone = TrustList(folder).remove(fingerprint)
    except KeyError as error:
        raise fail(f"{error.args[0]} (in {folder})") from None
    except OSError as error:
        raise fail(f"{error.filename or folder}: {error.strerror or error}") from None
    if as_json:
        print_json({"pki": str(folder), "trusted": False, **certificate_rows(gone)})
    else:
        typer.echo(f"{gone.name} ({gone.fingerprint[:16]}) is trusted no more in {folder}")


def digits(fingerprint: str) -> str:
    """A fingerprint as it is compared: without colons and spaces, in capitals."""
    return fingerprint.replace(":", "").replace(" ", "").upper()


def grouped(fingerprint: str) -> str:
    """A fingerprint as people compare it: ``AB:CD:…``."""
    return ":".join(fingerprint[n : n + 2] for n in range(0, len(fingerprint), 2))


def described_at_length(shown: Certificate, findings: list[Finding]) -> str:
    """What a person compares and looks at, a line each."""
    rows = [
        ("  SHA-256", grouped(shown.fingerprint)),
        ("  SHA-1", grouped(shown.thumbprint)),
        ("  subject", shown.subject),
        ("  issuer", "itself" if shown.issuer == shown.subject else shown.issuer),
        ("  valid", f"{shown.begins:%Y-%m-%d} to {shown.ends:%Y-%m-%d}"),
        ("  for", ", ".join((*shown.uris, *shown.hosts)) or "no application and no host in particular"),
        *(("  attention", finding.text) for finding in findings),
    ]
    return columns(rows)


def certificate_rows(shown: Certificate, findings: list[Finding] | None = None) -> dict[str, Any]:
    """A certificate for other programs."""
    found = shown.findings(utc_now()) if findings is None else findings
    return {
        "name": shown.name,
        "sha256": shown.fingerprint,
        "sha1": shown.thumbprint,
        "subject": shown.subject,
        "issuer": shown.issuer,
        "valid_from": shown.begins.isoformat(),
        "valid_to": shown.ends.isoformat(),
        "uris": list(shown.uris),
        "hosts": list(shown.hosts),
        "findings": [{"fault": str(each.fault), "text": each.text} for each in found],
    }
