"""What a probe found, as a page for people and as plain data for programs. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.driver import Identity
from edge.commission.fitting import Fit

COMMAND = "onelot driver"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of an OPC UA server, in words."""

    policy: str
    mode: str
    usable: bool
    remark: str
    """Why it cannot be used, or what is to be known of it."""
    users: tuple[str, ...] = ()
    certificate: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle on a broker, in words."""

    url: str
    alive: bool
    said: str


@dataclass(slots=True)
class Report:
    """One machine, or a broker, as it was found."""

    url: str
    protocol: str
    seconds: float
    """Until it answered."""
    who: Identity = field(default_factory=Identity)
    remarks: list[str] = field(default_factory=list)
    """What could not be found out, and why."""
    fits: Sequence[Fit] = ()
    endpoints: Sequence[Endpoint] = ()
    vehicles: Sequence[Vehicle] = ()
    logged_in: bool = True
    """Whether more was seen of it than that it is there."""
    address: str = ""
    """Of the one machine behind ``url`` that is suggested; the same when empty."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the connection that was made; those given when empty."""
    device: dict[str, Any] | None = None
    """An entry for the site file."""
    next: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """For other programs."""
        who = self.who
        said = {"vendor": who.vendor, "product": who.product, "serial": who.serial, "firmware": who.firmware}
        return {
            "url": self.url,
            "protocol": self.protocol,
            "reachable": True,
            "latency_ms": round(self.seconds * 1000, 1),
            "identity": {**said, "more": dict(who.more)},
            "remarks": self.remarks,
            "profiles": [
                {"name": f.name, "certain": f.certain, "why": list(f.why), "firmware": f.firmware}
                | {"refuses": f.outside}
                for f in self.fits
            ],
            "endpoints": [
                {"policy": e.policy, "mode": e.mode, "usable": e.usable, "remark": e.remark}
                | {"users": list(e.users), "certificate": e.certificate}
                for e in self.endpoints
            ],
            "vehicles": [{"url": v.url, "alive": v.alive, "said": v.said} for v in self.vehicles],
            "device": self.device,
            "next": self.next,
        }

    def page(self) -> str:
        """For people."""
        return "\n".join(_labelled(self._sections()))

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        yield "reachable", [" · ".join([f"{self.seconds * 1000:.0f} ms", *_words(self.who)])]
        yield "", [f"{name} {text}" for name, text in self.who.more.items()]
        if self.logged_in and (self.protocol != "vda5050" or self.fits):
            yield "profile", [_fit(fit) for fit in self.fits] or ["none of those here recognises it"]
        yield "attention", self.remarks
        yield "endpoints", _endpoints(self.endpoints)
        yield "vehicles", [f"{'●' if v.alive else '✕'} {v.url}  {v.said}" for v in self.vehicles]
        if self.device is not None:
            yield "site.yaml", ["add under devices of its edge:", *entry(self.device)]
        yield "next", self.next


def _words(who: Identity) -> list[str]:
    named = [("", who.vendor), ("", who.product), ("serial ", who.serial), ("firmware ", who.firmware)]
    return [f"{label}{text}" for label, text in named if text] or ["it does not say what it is"]


def _fit(fit: Fit) -> str:
    made_for = f"; firmware {fit.firmware}" if fit.firmware else ""
    outside = f" — {fit.outside}" if fit.outside else ""
    return f"{fit.name} {'fits' if fit.certain else 'may fit'}: {', '.join(fit.why)}{made_for}{outside}"


def _endpoints(endpoints: Sequence[Endpoint]) -> list[str]:
    width = max((len(f"{e.policy} {e.mode}") for e in endpoints), default=0)
    lines, last = [], None
    for each in endpoints:
        name = each.policy if each.policy == each.mode else f"{each.policy} {each.mode}"
        login = f"  login: {', '.join(each.users)}" if each.users else ""
        lines.append(f"{'✓' if each.usable else '✗'} {name.ljust(width)}  {each.remark}{login}".rstrip())
        if each.certificate is not None and each.certificate != last:
            last = each.certificate
            lines.append(
                f"  certificate {last['name']}, {last['valid_from'][:10]} to {last['valid_to'][:10]}"
            )
            lines.append(f"  SHA-256 {last['sha256']}")
            lines += [f"  attention: {finding['text']}" for finding in last["findings"]]
    return lines


def _labelled(sections: Iterator[tuple[str, list[str]]]) -> Iterator[str]:
    for label, lines in sections:
        for number, line in enumerate(lines):
            yield shown(f"  {label if number == 0 else '':<11}{line}".rstrip())


def shown(text: str) -> str:
    """Text of a machine as it may reach a terminal or a file: nothing in it but what can be printed."""
    return "".join(c if c.isprintable() else "�" for c in text)


# --- what is ready to paste -----------------------------------------------------------------------------


def called(vendor: str, product: str) -> str:
    """What a machine is called: many repeat their maker in the product's name."""
    if product.casefold().startswith(vendor.casefold()):
        return product
    return f"{vendor} {product}".strip()


def device_id(*words: str) -> str:
    """An id that a site file takes, from what a machine is called."""
    text = re.sub(r"[^a-z0-9]+", "-", " ".join(word for word in words if word).lower()).strip("-")
    return text[:32].strip("-") or "machine-1"


def entry(device: Mapping[str, Any]) -> list[str]:
    """A device as YAML, a line each. Every value is written so that YAML takes it for what it is."""
    lines = [f"{key}: {_yaml(value)}" for key, value in device.items()]
    return [f"{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(lines)]


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = shown(value)
    if isinstance(value, str) and not re.fullmatch(rf"[A-Za-z][A-Za-z0-9_./-]*|{_UUID}", value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f'"{value}"' if isinstance(value, str) and value.lower() in _NOT_TEXT else str(value)


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NOT_TEXT = ("yes", "no", "on", "off", "y", "n", "true", "false", "null")
"""Words that YAML takes for something else."""


def command(*words: str) -> str:
    """A command as it is typed."""
    return f"{COMMAND} {' '.join(map(shlex.quote, words))}"
