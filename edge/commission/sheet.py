"""The acceptance sheet: a check as one HTML page that needs nothing else, to be printed on A4 and signed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge.commission.acceptance import Acceptance, conditions, limits
from edge.commission.targets import Target
from protocols.values import Quality

_TEMPLATE = "acceptance.html"
_MARKS = {Quality.GOOD: "● good", Quality.UNCERTAIN: "◐ uncertain", Quality.BAD: "✕ bad"}


def sheet(target: Target, acceptance: Acceptance, at: datetime, profile_hash: str) -> str:
    """The page. ``at`` in UTC; what a machine or a profile says is text in it, never markup."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    profile, verdict = target.profile, acceptance.seen.verdict
    writes = [
        {
            "tag": name,
            "limits": limits(rule),
            "unit": profile.tags[name].unit,
            "effect": str(rule.effect),
            "conditions": conditions(rule),
        }
        for name, rule in profile.writes.items()
    ]
    watched = acceptance.seen.watched
    return environment.get_template(_TEMPLATE).render(
        target=target,
        profile=profile,
        profile_hash=profile_hash,
        identity=acceptance.identity,
        refused=verdict.refuses,
        results=acceptance.results,
        deviations=acceptance.deviations,
        not_tested=acceptance.not_tested,
        writes=writes,
        watched=watched,
        passed=acceptance.passed,
        bad=acceptance.bad,
        at=f"{at:%Y-%m-%d %H:%M:%S} UTC",
        mark=lambda quality: _MARKS[quality],
    )
