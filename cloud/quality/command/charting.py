"""``onelot quality chart``: limits, signals and capability of a file of measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec.structs import asdict

from cloud.printing import fail, write_file
from cloud.quality.capability import Capability, Index, NoToleranceError, TooFewValuesError, capability
from cloud.quality.command.asking import SIGNALLED, named_rules, table_at
from cloud.quality.command.listing import Rules, cost
from cloud.quality.drawing import Picture, stretches_of_signals, svg
from cloud.quality.measurements import Table
from protocols.spc.chart import chart, check, estimate
from protocols.spc.charts import (
    COUNTED,
    GROUPED,
    WEIGHTED,
    WITHOUT_LIMITS,
    Kind,
    Point,
    Sample,
    SampleError,
    Spec,
    in_words,
)
from protocols.spc.limits import TRIAL_FROM, Limits, given
from protocols.spc.moments import autocorrelation
from protocols.spc.rules import DEFAULT

Number = float | None


def chart_file(
    file: Annotated[
        Path, typer.Argument(help="CSV: one row a sample; several value columns are a subgroup.")
    ],
    kind: Annotated[Kind, typer.Option(help="Kind of chart.")] = Kind.I_MR,
    column: Annotated[str, typer.Option(help="Columns with measured values, separated by commas.")] = "",
    size: Annotated[
        int, typer.Option(min=0, help="Values in a subgroup, or units inspected for each count.")
    ] = 0,
    rules: Rules = ",".join(DEFAULT),
    baseline: Annotated[
        int, typer.Option(min=0, help="Limits from the first so many points; left out: from all of them.")
    ] = 0,
    lower: Annotated[Number, typer.Option(help="Lower limit of the tolerance.")] = None,
    upper: Annotated[Number, typer.Option(help="Upper limit of the tolerance.")] = None,
    nominal: Annotated[Number, typer.Option(help="Nominal value; the target of Cpm.")] = None,
    target: Annotated[Number, typer.Option(help="Known mean of the process, with --sigma.")] = None,
    sigma: Annotated[Number, typer.Option(help="Known standard deviation of single values.")] = None,
    weight: Annotated[float, typer.Option(min=0.001, max=1.0, help="EWMA: lambda.")] = 0.2,
    width: Annotated[float, typer.Option(min=0.1, help="EWMA: limits in sigmas (L).")] = 2.962,
    steady: Annotated[
        bool, typer.Option("--steady", help="EWMA: final limits from the first point.")
    ] = False,
    slack: Annotated[float, typer.Option(min=0.0, help="CUSUM: k in sigmas.")] = 0.5,
    decision: Annotated[float, typer.Option(min=0.1, help="CUSUM: h in sigmas.")] = 5.0,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Of intervals.")] = 0.95,
    output: Annotated[Path | None, typer.Option(help="Draw the chart: .svg.")] = None,
    fail_on_signal: Annotated[
        bool, typer.Option("--check", help="Exit code 1 when a point signals.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")] = False,
) -> None:
    """Chart measurements: limits, points that signal, capability with its interval.

    Without --baseline or known values the limits come from the points themselves (phase I): look at what
    signals, find its cause, then freeze them. Exit code 2: the file or the options are of no use.
    """
    if output is not None and output.suffix != ".svg":
        raise fail(f'--output {output}: "{output.suffix}" is not .svg')
    table = table_at(file, column)
    spec = Spec(
        kind,
        rules=named_rules(rules),
        size=_size(kind, size, table),
        lower=lower,
        upper=upper,
        nominal=nominal,
        target=target,
        sigma=sigma,
        weight=weight,
        width=width,
        steady=steady,
        slack=slack,
        decision=decision,
    )
    if sigma is not None and sigma <= 0:
        raise fail(f"--sigma {sigma:g} must be greater than 0")
    _check_samples(file, spec, table)
    limits, points = _charted(file, spec, table, baseline)
    capable = _capability(spec, table.samples, confidence)
    labels = [*table.labels] if spec.kind not in GROUPED or len(points) == len(table.labels) else []
    if output is not None:
        picture = Picture(kind, points, file.stem, labels=labels, tolerance=(lower, upper))
        write_file(output, svg(picture))
    if as_json:
        typer.echo(json.dumps(_json(spec, limits, points, capable), indent=2, ensure_ascii=False))
    else:
        _print(file, spec, limits, points, labels, capable, table)
        if output is not None:
            typer.echo(f"wrote {output}")
    if fail_on_signal and any(point.signals for point in points):
        raise typer.Exit(SIGNALLED)


def _size(kind: Kind, size: int, table: Table) -> int:
    across = len(table.measured)
    if kind in GROUPED:
        if across > 1 and size not in (0, across):
            raise fail(f"--size {size}: each row has {across} values, which are the subgroup")
        found = across if across > 1 else size
        if found < 2:
            raise fail(f"{kind} needs subgroups: give --size, or a column for each of its values")
        return found
    if across > 1:
        named = ", ".join(table.measured)
        raise fail(
            f"{kind} takes one value a row, there are {across} columns ({named}): choose with --column"
        )
    if kind in COUNTED and not size:
        if any(not sample.size for sample in table.samples) and kind is not Kind.C:
            raise fail(f"{kind} needs the units inspected: give --size, or a column size")
        return 1
    return size or 1


def _check_samples(file: Path, spec: Spec, table: Table) -> None:
    for sample, line in zip(table.samples, table.lines, strict=True):
        try:
            check(spec, sample)
        except SampleError as error:
            raise fail(f"{file}:{line}:1  {error}") from None


def _charted(file: Path, spec: Spec, table: Table, baseline: int) -> tuple[Limits | None, list[Point]]:
    limits: Limits | None = None
    if baseline and spec.kind not in WITHOUT_LIMITS:
        single = spec.kind in GROUPED and len(table.measured) == 1
        limits = estimate(spec, table.samples[: baseline * (spec.size if single else 1)])
        if limits is None:
            raise fail(f"--baseline {baseline}: limits need at least {TRIAL_FROM} points")
        limits = msgspec.structs.replace(limits, version=1)
    found, points = chart(spec, table.samples, limits)
    if found is None:
        raise fail(
            f"{file}: {len(points)} points are too few for limits ({TRIAL_FROM} at least); "
            "a q chart needs none, and --target with --sigma gives them"
        )
    return found, points


def _capability(spec: Spec, samples: list[Sample], confidence: float) -> Capability | str | None:
    """Capability where there is a tolerance, or why there is none."""
    if (spec.lower is None and spec.upper is None) or spec.kind in COUNTED:
        return None
    values = [value for sample in samples for value in sample.values]
    try:
        return capability(
            values,
            lower=spec.lower,
            upper=spec.upper,
            target=spec.nominal,
            size=spec.size if spec.kind in GROUPED else 1,
            confidence=confidence,
        )
    except (TooFewValuesError, NoToleranceError, ValueError) as error:
        return str(error)


def _print(
    file: Path,
    spec: Spec,
    limits: Limits | None,
    points: list[Point],
    labels: list[str],
    capable: Capability | str | None,
    table: Table,
) -> None:
    typer.echo(f"{file.name}  {spec.kind}  {len(points)} point{'s' if len(points) != 1 else ''}")
    for line in [*_limit_lines(spec, limits, points), *_warnings(spec, table)]:
        typer.echo(f"  {line}")
    typer.echo(f"signals  {sum(bool(point.signals) for point in points) or 'none'}")
    for first, last in stretches_of_signals(points):
        typer.echo(f"  {_where(points, labels, first, last)}  {in_words(points[first].signals)[0]}")
    if isinstance(capable, str):
        typer.echo(f"capability  none: {capable}")
    elif capable is not None:
        for line in capability_lines(capable):
            typer.echo(line)


def _where(points: list[Point], labels: list[str], first: int, last: int) -> str:
    if last > first:
        return f"points {points[first].number} to {points[last].number}"
    label = f" ({labels[first]})" if first < len(labels) and labels[first] else ""
    value = points[first].plotted
    return f"point {points[first].number}{label}{'' if value is None else f'  {value:.6g}'}"


def _limit_lines(spec: Spec, limits: Limits | None, points: list[Point]) -> list[str]:
    last = points[-1] if points else None
    lines = []
    if last is not None and last.upper is not None and last.lower is not None:
        varies = len({point.upper for point in points}) > 1
        which = " at the last point" if varies else ""
        basis = _basis(spec, limits)
        span = (
            f"limit {last.upper:.7g}" if spec.kind is Kind.CUSUM else f"{last.lower:.7g} to {last.upper:.7g}"
        )
        centre = "" if spec.kind is Kind.CUSUM else f"centre {last.center:.7g}   limits "
        lines.append(f"{centre}{span}{which}   {basis}")
    if limits is not None and limits.sigma and spec.kind not in WITHOUT_LIMITS:
        lines.append(f"sigma {limits.sigma:.7g}")
    if last is not None and last.second_upper is not None and limits is not None:
        lines.append(
            f"spread: mean {limits.spread:.7g}, limits {last.second_lower:.7g} to {last.second_upper:.7g}"
        )
    if spec.kind not in WEIGHTED and spec.kind is not Kind.PRE_CONTROL:
        lines.append(f"rules {', '.join(spec.rules)}: {cost(spec.rules)}")
    return lines


def _basis(spec: Spec, limits: Limits | None) -> str:
    if limits is None or spec.kind in WITHOUT_LIMITS or limits == given(spec):
        return "(known beforehand)" if spec.kind not in WITHOUT_LIMITS else ""
    few = "PROVISIONAL, fewer than 20" if limits.points < 20 else ""
    kind = (
        "from these points, not frozen" if limits.version == 0 else f"from the first {limits.points} points"
    )
    return f"({'; '.join(filter(None, (kind, few)))})"


def _warnings(spec: Spec, table: Table) -> list[str]:
    values = [sample.values[0] for sample in table.samples if len(sample.values) == 1]
    if spec.kind in COUNTED or len(values) != len(table.samples) or len(values) < 20:
        return []
    r = autocorrelation(values)
    if abs(r) <= 3 / len(values) ** 0.5:
        return []
    return [f"consecutive values are not independent (lag-1 autocorrelation {r:.2f}): limits mislead"]


def capability_lines(found: Capability) -> list[str]:
    """Capability as text: no index without its interval."""
    rows: list[tuple[str, Index | None]] = [
        ("Cp", found.cp),
        ("Cpk", found.cpk),
        ("Pp", found.pp),
        ("Ppk", found.ppk),
        ("Cpm", found.cpm),
    ]
    lines = [
        f"capability  {found.count} values, mean {found.mean:.6g}, sigma within {found.within:.6g}, "
        f"overall {found.overall:.6g}; {found.confidence:.0%} intervals"
    ]
    lines += [f"  {name:<4} {index}" for name, index in rows if index is not None]
    lines.append(f"  expected outside the tolerance {found.outside * 1e6:.4g} ppm, if normal")
    return lines


def _json(
    spec: Spec, limits: Limits | None, points: list[Point], capable: Capability | str | None
) -> dict[str, Any]:
    return {
        "kind": str(spec.kind),
        "rules": [str(rule) for rule in spec.rules],
        "limits": None if limits is None else asdict(limits) | {"provisional": limits.provisional},
        "points": [_finite(asdict(point)) for point in points],
        "signals": [
            {"point": p.number, "signals": list(p.signals), "words": in_words(p.signals)[0]}
            for p in points
            if p.signals
        ],
        "capability": capable if isinstance(capable, str) else msgspec.to_builtins(capable),
    }


def _finite(point: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity."""
    value = point["plotted"]
    return {**point, "plotted": None} if value in (float("inf"), float("-inf")) else point
