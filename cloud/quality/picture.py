"""A chart of the database as a picture, and the capability of what was charted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.quality import charts
from cloud.quality.capability import Capability, NoToleranceError, capability
from cloud.quality.drawing import Picture, svg
from protocols.site import Site
from protocols.spc.charts import COUNTED, GROUPED, Kind, Sample, Spec
from protocols.values import MICROSECONDS

DRAWN = 120
"""Points that are drawn, the newest."""


def picture_of(tx: Connection, chart_id: int, site: Site, *, chinese: bool = False) -> str:
    """SVG of the newest points of a chart; raises UnknownChart."""
    found = charts.chart(tx, chart_id)
    plotted = charts.points(tx, chart_id, DRAWN)
    zone = ZoneInfo(site.calendar.timezone)
    cell = site.workcells().get(found.workcell)
    place = found.workcell if cell is None else cell.title_zh or cell.title if chinese else cell.title
    title = f"{found.title_zh if chinese else found.title} · {place} · {found.spec.kind}"
    return svg(
        Picture(
            found.spec.kind,
            [each.point for each in plotted],
            title,
            found.unit,
            [datetime.fromtimestamp(each.ts / MICROSECONDS, zone).strftime("%H:%M") for each in plotted],
            (found.spec.lower, found.spec.upper),
            chinese,
        )
    )


def capability_of(tx: Connection, chart_id: int) -> Capability:
    """Capability of the newest values of a chart. Values of different nominals count by their deviation.

    Raises:
        UnknownChart: no chart of that id.
        NoToleranceError: its characteristic has none, or its parts have different ones.
        TooFewValuesError: there are too few values.
        ValueError: they do not vary.
    """
    spec, samples = charts.chart(tx, chart_id).spec, charts.values(tx, chart_id)
    if spec.kind in COUNTED:
        raise NoToleranceError(f"a chart of kind {spec.kind} counts: there is no capability of it")
    tolerances = {_tolerance(spec, sample) for sample in samples}
    if len(tolerances) > 1:
        raise NoToleranceError(
            f"the parts on this chart have {len(tolerances)} different tolerances around their nominals: "
            "capability is for one"
        )
    lower, upper, target = next(iter(tolerances), (None, None, None))
    return capability(
        [value - _origin(spec, sample) for sample in samples for value in sample.values],
        lower=lower,
        upper=upper,
        target=target,
        size=spec.size if spec.kind in GROUPED else 1,
    )


def _origin(spec: Spec, sample: Sample) -> float:
    """What deviations are taken from: parts of different nominals only compare by these."""
    shared = spec.kind in (Kind.DNOM, Kind.Z_MR, Kind.Q, Kind.PRE_CONTROL)
    return sample.nominal or 0.0 if shared else 0.0


def _tolerance(spec: Spec, sample: Sample) -> tuple[float | None, float | None, float | None]:
    origin = _origin(spec, sample)
    bounds = (sample.lower, sample.upper, sample.nominal)
    lower, upper, target = (None if value is None else round(value - origin, 9) for value in bounds)
    return lower, upper, target
