"""Why health is what it is: the tags with the largest share, in numbers and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cloud.maintenance.health.baseline import Normal


class Evidence(msgspec.Struct, frozen=True):
    """One tag's part in the deviation: value now and normal value in the regime, how many spreads off
    (smoothed, signed), and its share of the whole (signed; the sizes of all shares add up to 1).
    """

    tag: str
    regime: str
    deviation: float
    current: float
    normal: float
    spread: float
    contribution: float = 0.0


def evidence(
    regime: str,
    normal: Mapping[str, Normal],
    smoothed: Mapping[str, float],
    judged: Mapping[str, float],
    current: Mapping[str, float],
) -> list[Evidence]:
    """All tags that can be compared, the largest share first. ``judged`` is the deviation to the bad side."""
    total = sum(abs(value) for value in judged.values())
    found = [
        Evidence(
            tag,
            regime,
            smoothed[tag],
            current[tag],
            each.centre,
            each.spread,
            judged[tag] / total if total > 0 else 0.0,
        )
        for tag, each in normal.items()
        if tag in judged and tag in current
    ]
    return sorted(found, key=lambda item: (-abs(item.contribution), -item.deviation, item.tag))


def words(item: Evidence, unit: str) -> str:
    """One line a person understands: tag, value now, normal value, how unusual."""
    side = "above" if item.deviation >= 0 else "below"
    return (
        f"{item.tag} is {item.current:.3g} {unit}".rstrip()
        + f", normally {item.normal:.3g} ± {item.spread:.2g}"
        + f" ({abs(item.deviation):.1f} spreads {side})"
    )
