"""What quality asks of somebody now: lots on hold, rework to be reported done, limits to be frozen. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloud.quality.charts import Chart
from cloud.quality.nonconformances import Nonconformance
from cloud.web.need import Need
from cloud.web.speech import Speech
from protocols.lifecycles import NonconformanceState

SHOWN = 6
"""Entries of each kind; one more says how many there are beyond."""


def needs(found: Sequence[Nonconformance], charts: Sequence[Chart], say: Speech) -> Iterator[Need]:
    """Open nonconformances first, what was decided and is not done, then charts that are ready."""
    waiting = [each for each in found if each.state is NonconformanceState.OPEN]
    for each in waiting[:SHOWN]:
        text = say("Job {job} is on hold", job=each.job)
        why = say.either(each.text, each.text_zh)
        opens = f"nonconformance:{each.id}"
        yield Need(2, each.opened, "■", text, why, opens, "dispose", str(each.id))
    decided = [each for each in found if each.state is NonconformanceState.DISPOSED and each.holds]
    for each in decided[:SHOWN]:
        text = say("Job {job}: {what} is not reported done", job=each.job, what=say(each.disposition))
        why = say.either(each.text, each.text_zh)
        opens = f"nonconformance:{each.id}"
        yield Need(5, each.changed, "◇", text, why, opens, "conform", str(each.id))
    if len(waiting) + len(decided) > 2 * SHOWN:
        yield Need(5, 2**62, "◇", say("and more nonconformances"), "", "quality")
    for chart in charts:
        if chart.ready:
            name = say.either(chart.title, chart.title_zh)
            text = say("{name} has {points} points", name=name, points=chart.points)
            why = say("look at them and freeze its limits")
            yield Need(7, chart.updated, "~", text, why, f"chart:{chart.id}", "freeze", str(chart.id))
