"""Models of remaining life and what they say of machines, beside the cases. No NiceGUI."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cloud.maintenance.case import Case
from cloud.maintenance.rul import foresight, holdings, lives, model_sheets, registry
from cloud.maintenance.rul.lives import LifeState, RemainingLife
from cloud.maintenance.rul.registry import (
    FEWEST_SHADOW_SCORES,
    LIFECYCLE,
    DriftKind,
    ModelEvent,
    ModelState,
    ModelVersion,
    NoSuchModelError,
)
from cloud.maintenance.work_order import BoundFrom, Foreseen
from cloud.web.sheet import Reader, Row, Sheet, Table
from protocols.values import MICROSECONDS

SHOWN = 40
"""Machines, those with the shortest life, and models that are listed."""
HASH = 12
"""Hexadecimal digits of a hash that are shown."""

SAYS = ("samples from before are being worked through", "the model does not know this regime")
"""Sentences of the scoring that need no value."""

EVENTS = {
    registry.REGISTER: "brought in",
    ModelEvent.SHADOW: "put in shadow",
    ModelEvent.ACTIVATE: "taken into use",
    ModelEvent.RETIRE: "taken out of use",
    ModelEvent.ROLL_BACK: "gone back to",
}
MODEL_HEADS = ("Model", "For", "State", "Error in validation", "Within the interval", "Drift")
_ACTS = {ModelEvent.SHADOW: "shadow", ModelEvent.ACTIVATE: "activate", ModelEvent.RETIRE: "retire"}


# --- of all machines ----------------------------------------------------------------------------------


def overview(r: Reader) -> Iterator[Table]:
    """What the models say of the machines, and the models; nothing where there never was one."""
    versions = registry.versions(r.tx, limit=SHOWN)
    if not versions:
        return
    known = sorted(
        lives.lives(r.tx).values(), key=lambda one: (one.life is None, one.life or 0.0, one.device)
    )
    rows = [
        Row(_life_cells(r, one), f"model:{one.version}", one.state is LifeState.FROZEN)
        for one in known[:SHOWN]
    ]
    heads = ("Machine", "Remaining life", "Operating hours", "Dates", "As of")
    yield Table("Remaining life of the machines", heads, rows, "no model is in use")
    models = [_row(r, one) for one in versions]
    yield Table("Models of remaining life", MODEL_HEADS, models, "none")


def _life_cells(r: Reader, life: RemainingLife) -> tuple[str, ...]:
    hours = foresight.hours(r.tx, life, r.now)
    dates = "–"
    if hours is not None and hours.lower is not None and r.desk is not None:
        found = r.desk.dated(r.tx, life.device, Foreseen(hours, BoundFrom.RUL))
        dates = f"{_until(r, found.lower_at)} – {_until(r, found.upper_at)}"
    words = _life(r, life)
    if life.state is not LifeState.SCORED:
        words = f"{words} · {_why(r, life)}"
    span = "–" if hours is None else f"{_short(hours.lower)} – {_short(hours.upper)}"
    return life.device, words, span, dates, r.time(life.judged or None)


def _life(r: Reader, life: RemainingLife) -> str:
    if life.life is None or life.lower is None:
        return "–"
    if life.upper is None:
        return r.say("more than {lower} {unit}", lower=_short(life.lower), unit=life.unit)
    return r.say(
        "{life} {unit}, {lower} to {upper}",
        life=_short(life.life),
        unit=life.unit,
        lower=_short(life.lower),
        upper=_short(life.upper),
    )


def _why(r: Reader, life: RemainingLife) -> str:
    return f"{r.say(str(life.state))}: {r.say(life.says)}"


def _short(value: float | None) -> str:
    return ">" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _until(r: Reader, ts: int | None) -> str:
    return r.time(ts) if ts is not None else ">"


# --- of a case ----------------------------------------------------------------------------------------


def lines_of_case(r: Reader, case: Case) -> Iterator[str]:
    """What the model in use says of a case's machine."""
    life = lives.lives(r.tx, case.asset).get(case.asset) if case.ended is None else None
    if life is None:
        return
    yield r.say("model {model}: {life}", model=life.model, life=_life(r, life))
    if life.state is not LifeState.SCORED:
        yield f"▲ {_why(r, life)}"


def reasons(r: Reader, case: Case) -> Iterator[Table]:
    """The signals that the model goes by; nothing where none is in use."""
    life = lives.lives(r.tx, case.asset).get(case.asset) if case.ended is None else None
    if life is None or life.life is None or r.desk is None:
        return
    found = [each.contribution for each in model_sheets.reasons(r.tx, life, r.desk.models.prognosers)]
    rows = [
        Row(
            (
                f"{case.device}/{one.signal}",
                f"{one.life:+.1f} {life.unit}",
                _spreads(one.current),
                _spreads(one.normal),
            ),
            f"model:{life.version}",
        )
        for one in found
    ]
    heads = ("Tag", "Moves the life by", "Now", "At its beginning")
    yield Table("What the model goes by, in spreads of the regime", heads, rows, "no row has come yet")


def _spreads(value: float) -> str:
    return "–" if value != value else f"{value:+.1f}"


# --- of one model -------------------------------------------------------------------------------------


def sheet(r: Reader, name: str) -> Sheet:
    """One model: what it was trained on, how it did, how it fares, and who decided what."""
    try:
        version = registry.version(r.tx, name)
    except NoSuchModelError:
        return Sheet(r.say("Model of remaining life"), (r.say("there is no such model"),))
    refused = r.desk.models.refused if r.desk is not None else {}
    journal = [
        Row((r.time(step.ts), step.actor, r.say(EVENTS.get(step.event, step.event)), step.reason))
        for step in registry.steps(r.tx, name)
    ]
    heads = ("When", "By whom", "What", "Why")
    return Sheet(
        r.say("Model {name}", name=version.summary["name"]),
        tuple(_lines(r, version, refused.get(name, ""))),
        (_at_edges(r, version), Table("Journal", heads, journal, "nothing yet")),
        tuple(_acts(r, version)),
    )


def _at_edges(r: Reader, version: ModelVersion) -> Table:
    """Which edges score with the model, and which refuse it."""
    names, rows = registry.names(r.tx), []
    for one in holdings.about(holdings.holdings(r.tx), version.sha256):
        goes_on = names.get(one.sha256, one.sha256[:HASH]) if one.sha256 else "–"
        if one.refused == version.sha256:
            words = r.say("▲ refused, it goes on with {model}: {why}", model=goes_on, why=r.say(one.why))
        elif one.file:
            words = r.say("used: edge.yaml names it")
        else:
            words = r.say("used since {since}", since=r.time(one.since))
        rows.append(Row((one.edge, one.device, words), late=one.refused == version.sha256))
    return Table("At edges", ("Edge", "Machine", "What it says"), rows, "no edge has told of it")


def _lines(r: Reader, version: ModelVersion, refused: str) -> Iterator[str]:
    told, training, found = version.summary, version.summary["training"], version.summary["validation"]
    yield r.say(
        "{state} since {since} · for {scope}",
        state=r.say(str(version.state)),
        since=r.time(version.changed),
        scope=_for(r, version),
    )
    if refused and version.state in (ModelState.ACTIVE, ModelState.SHADOW):
        yield r.say("▲ not used: {why}", why=refused)
    yield r.say(
        "trained {when} on {source}: {assets} run-to-failures, {rows} rows",
        when=_day(r, training["at"]),
        source=training["source"],
        assets=training["assets"],
        rows=training["rows"],
    )
    yield r.say(
        "validated with whole machines left out: error {error} {unit} (RMSE, up to {horizon} {unit}), "
        "{coverage} within the {level} interval, {width} {unit} wide",
        error=f"{found['rmse_capped']:.1f}",
        unit=told["unit"],
        horizon=f"{told['horizon']:g}",
        coverage=f"{found['coverage']:.1%}",
        level=f"{told['level']:.0%}",
        width=f"{found['mean_width']:.1f}",
    )
    row = told["row"] or {}
    yield (
        r.say("a row for every new {counter}", counter=row["counter"])
        if row.get("counter")
        else r.say("a row for every {seconds} s of work", seconds=f"{row.get('every', 0):g}")
    )
    yield r.say("signals: {names}", names=", ".join((*told["conditions"], *told["signals"])))
    yield r.say("SHA-256 {hash}…", hash=version.sha256[:HASH])
    if version.state is ModelState.SHADOW:
        yield r.say(
            "{count} of {wanted} scores in shadow, on average {apart} {unit} from the model in use",
            count=version.shadow_scores,
            wanted=FEWEST_SHADOW_SCORES,
            apart=f"{version.shadow_difference:.1f}",
            unit=told["unit"],
        )
    if version.drift_kind is DriftKind.NONE:
        yield r.say("no drift found")
    else:
        yield r.say("▲ drift since {since}: {what}", since=r.time(version.drift_at), what=version.drift_text)


def _acts(r: Reader, version: ModelVersion) -> Iterator[tuple[str, str]]:
    for event in LIFECYCLE.allowed(version.state):
        if (act := _ACTS.get(ModelEvent(event))) is not None:
            yield act, version.id
    before = [
        one.id
        for one in registry.versions(r.tx, version.scope)
        if one.state is ModelState.RETIRED and one.activated is not None
    ]
    if version.state is ModelState.ACTIVE and before:
        yield "roll back", version.id


def _row(r: Reader, version: ModelVersion) -> Row:
    told, found = version.summary, version.summary["validation"]
    state = r.say(str(version.state))
    if version.state is ModelState.SHADOW:
        state = f"{state} {version.shadow_scores}/{FEWEST_SHADOW_SCORES}"
    drift = "–" if version.drift_kind is DriftKind.NONE else f"▲ {version.drift_text}"
    return Row(
        (
            str(told["name"]),
            _for(r, version),
            state,
            f"{found['rmse_capped']:.1f} {told['unit']}",
            f"{found['coverage']:.1%}",
            drift,
        ),
        f"model:{version.id}",
        version.drift_kind is not DriftKind.NONE,
    )


def _for(r: Reader, version: ModelVersion) -> str:
    """The profile, or the machine whose asset it is for."""
    return next(
        (device.id for device in r.site.devices().values() if str(device.asset) == version.scope),
        version.scope,
    )


def _day(r: Reader, ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / MICROSECONDS, r.zone):%Y-%m-%d}"
