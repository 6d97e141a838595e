"""What the API and the page show of an asset's health, in whole sentences where a person reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, select

from cloud.ledger import reading
from cloud.maintenance import assets
from cloud.maintenance.case import Verdict
from cloud.maintenance.health import plot
from cloud.maintenance.health.asset import CLOCK, AssetHealth, State
from cloud.maintenance.health.budget import Budget, budget
from cloud.maintenance.health.evidence import Evidence, words
from cloud.maintenance.health.facts import SIGNS, TagFacts, facts
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.sensor import WORDS, Fault
from cloud.maintenance.health.threshold import Thresholds
from cloud.maintenance.service import MODE, WATCHED_ROLES, Settings
from cloud.maintenance.tables import CASE
from protocols.site import Device


class NoSuchAssetError(KeyError):
    """No asset of that id stands at the site."""


class AssetBrief(msgspec.Struct, frozen=True):
    """One asset in a list. ``learned`` is how far learning is, 0…1; ``regime`` is "" where it is unknown, as
    ``says`` tells.
    """

    asset: str
    device: str
    serial: str
    state: State
    health: float | None
    learned: float
    alarmed: bool
    regime: str
    updated: int
    says: str


class SensorSheet(msgspec.Struct, frozen=True):
    """One tag: whether it is judged, and what is wrong with it since when (µs UTC)."""

    tag: str
    role: str
    unit: str
    judged: bool
    fault: Fault | None = None
    since: int = 0
    says: str = ""


class EvidenceSheet(msgspec.Struct, frozen=True):
    """A tag's part in the deviation, with its unit and in words."""

    evidence: Evidence
    unit: str
    says: str


class RegimeSheet(msgspec.Struct, frozen=True):
    """A known regime and from how many windows it was learned."""

    name: str
    windows: int


class AssetSheet(msgspec.Struct, frozen=True):
    """All about one asset. ``score`` is the deviation in multiples of the threshold (times ``factor``)."""

    brief: AssetBrief
    score: float
    sensors: list[SensorSheet]
    evidence: list[EvidenceSheet]
    regimes: list[RegimeSheet]
    unknown_windows: int
    thresholds: Thresholds | None
    factor: float
    confirmed: int
    confirmed_by: str
    budget: Budget
    late_samples: int
    predecessor: str


def briefs(tx: Connection, devices: Mapping[str, Device], limits: Limits) -> list[AssetBrief]:
    """Every asset of the site that has ever been scored, by device."""
    known = assets.load(tx)
    found = [
        _brief(device, health, limits)
        for device in devices.values()
        if (health := known.get(str(device.asset))) is not None
    ]
    return sorted(found, key=lambda each: each.device)


def sheet(
    tx: Connection, devices: Mapping[str, Device], asset: str, settings: Settings, now: int
) -> AssetSheet:
    """All about one asset; raises NoSuchAssetError."""
    device, health = _found(tx, devices, asset)
    tags = _facts(tx, device.id, settings.span)
    false = tx.execute(
        select(CASE.c.opened).where(
            CASE.c.asset == asset, CASE.c.mode == MODE, CASE.c.verdict == Verdict.FALSE_ALARM
        )
    ).scalars()
    limits = settings.limits
    watched_since = health.trend.points[0].end if health.trend.points else now
    return AssetSheet(
        _brief(device, health, limits),
        round(health.score, 3),
        [*_sensors(health, tags)],
        [
            EvidenceSheet(item, tags[item.tag].unit, words(item, tags[item.tag].unit))
            for item in health.evidence(tags)
        ],
        [
            RegimeSheet(name, max((each.count for each in normal.values()), default=0))
            for name, normal in sorted(health.normals.items())
        ],
        len(health.strange),
        health.thresholds,
        health.factor,
        health.confirmed,
        health.confirmed_by,
        budget(false, health.episodes, watched_since, now, health.factor, health.confirmed, limits),
        health.late,
        health.predecessor,
    )


def picture(
    tx: Connection,
    devices: Mapping[str, Device],
    asset: str,
    settings: Settings,
    clock: Callable[[int], str],
    tags: Sequence[str] = (),
) -> str:
    """The SVG of the course of the tags that deviate most, or of those named; raises NoSuchAssetError."""
    device, health = _found(tx, devices, asset)
    known = _facts(tx, device.id, settings.span)
    shown = list(tags) or [item.tag for item in health.evidence(known)]
    title = f"{device.title or device.id} — {_says(health, settings.limits)}"

    def unit(tag: str) -> str:
        return known[tag].unit if tag in known else ""

    return plot.plot(health.trend, health.normals, shown, unit, clock, title)


def _found(tx: Connection, devices: Mapping[str, Device], asset: str) -> tuple[Device, AssetHealth]:
    device = next((each for each in devices.values() if str(each.asset) == asset), None)
    if device is None:
        raise NoSuchAssetError(asset)
    return device, assets.load(tx, asset).get(asset, AssetHealth())


def _facts(tx: Connection, device: str, span: int) -> dict[str, TagFacts]:
    found = {}
    for tag in reading.tags(tx):
        if tag.device == device and tag.current and tag.role in WATCHED_ROLES:
            name = tag.path.removeprefix(f"{device}/")
            found[name] = facts(name, tag.role, tag.unit, tag.type, tag.max_interval, span)
    return found


def _brief(device: Device, health: AssetHealth, limits: Limits) -> AssetBrief:
    return AssetBrief(
        str(device.asset),
        device.id,
        device.serial,
        health.state,
        health.health(limits),
        round(health.progress(limits), 3),
        health.alarmed,
        health.regime,
        health.updated,
        _says(health, limits),
    )


def _says(health: AssetHealth, limits: Limits) -> str:
    if health.state is State.FROZEN:
        tag, fault, _ = health.faults()[0]
        subject = "the machine" if tag == CLOCK else tag
        return f"not judged: {subject} {WORDS[fault]}"
    if health.state is State.LEARNING:
        after = ", anew after another asset at its place" if health.predecessor else ""
        return f"learning what is normal, {health.progress(limits):.0%} done{after}"
    value = health.health(limits)
    if not health.regime:
        return f"health {value:.0f}; the present regime is unknown and not judged"
    alarm = ", alarm" if health.alarmed else ""
    return f"health {value:.0f}{alarm}"


def _sensors(health: AssetHealth, tags: Mapping[str, TagFacts]) -> Iterable[SensorSheet]:
    wrong: dict[str, tuple[Fault, int]] = {}
    for tag, fault, since in health.faults():
        wrong.setdefault(tag, (fault, since))
    learned = {tag for normal in health.normals.values() for tag in normal}
    for name in sorted(tags):
        known = tags[name]
        judged = known.role in SIGNS and name in learned
        found = wrong.pop(name, None)
        if found is None:
            yield SensorSheet(name, known.role, known.unit, judged)
        else:
            fault, since = found
            yield SensorSheet(name, known.role, known.unit, False, fault, since, WORDS[fault])
    for name, (fault, since) in sorted(wrong.items()):
        yield SensorSheet(name, "", "", False, fault, since, WORDS[fault])
