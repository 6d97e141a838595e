"""Which vehicles speak on a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from drivers.driver import Identity
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from drivers.vda5050.driver import Vda5050Options, parse_url
from drivers.vda5050.profile import Vda5050Profile
from edge.commission.fitting import Seen
from edge.commission.probing_report import Report, Vehicle
from edge.identity import Examination
from protocols.broker import Broker, Tls
from protocols.documents import Document

ASKED = Vda5050Profile.model_validate(
    {
        "vendor": "any",
        "model": "any",
        "protocol": "vda5050",
        "tags": {"state": {"address": "vehicle.state", "type": "string"}},
    }
)


async def look(
    url: str,
    options: Mapping[str, Any],
    library: Mapping[str, AnyProfile],
    seconds: float,
    told: Callable[[str], None],
) -> tuple[Report, list[Seen]]:
    """Listen on the broker of an address; for one vehicle where it names one. Sends nothing.

    Raises:
        ConnectError: the broker does not answer, or refuses.
        DocumentError: an option is wrong.
    """
    from drivers.vda5050.listen import Heard, listen

    kind = driver_type("vda5050")
    given = Document(f"{url} options", dict(options), None).validate(kind.config)
    assert isinstance(given, Vda5050Options)  # noqa: S101 - what this driver's options are
    host, port, vehicle = parse_url(url, ASKED)
    broker = Broker(
        host=host,
        port=port,
        username=given.username,
        password_file=given.password_file,
        tls=Tls(ca=given.ca, cert=given.cert, key=given.key) if given.tls else None,
        version=given.mqtt,
    )
    named = bool(urlsplit(url).path.strip("/"))
    greeted, heard = await listen(broker, vehicle if named else None, seconds, lambda h: told(str(h.vehicle)))
    base = f"vda5050://{host}:{broker.address[1]}"

    def address(each: Heard) -> str:
        parts = (each.vehicle.interface, each.vehicle.manufacturer, each.vehicle.serial)
        return "/".join([base, *(quote(part, safe="") for part in parts)])

    report = Report(url, "vda5050", greeted)
    report.vehicles = [Vehicle(address(each), each.alive, _said(each)) for each in heard]
    if not heard:
        report.logged_in = False
        report.remarks.append(
            f"no vehicle spoke in {seconds:g} s: they send a state every 30 s at least (--listen 35)"
        )
        return report, []
    first = next((each for each in heard if each.alive), heard[0])
    report.address = address(first)
    more = {"VDA 5050": first.version} if first.version else {}
    if len(heard) > 1:
        more["suggested below"] = f"{first.vehicle}, the first of {len(heard)}"
    report.who = who = Identity(first.vehicle.manufacturer, first.series, first.vehicle.serial, more=more)
    return report, [Seen(name, profile, Examination(who)) for name, profile in library.items()]


def _said(heard: Any) -> str:
    words = [
        f"{heard.states} states" if heard.states else "no state yet",
        f"connection {heard.connection or 'not said'}",
        f"VDA 5050 {heard.version}" if heard.version else "",
        heard.series,
        "" if heard.battery is None else f"battery {heard.battery:.0f} %",
        f"✕ {heard.trouble}" if heard.trouble else "",
    ]
    return " · ".join(word for word in words if word)
