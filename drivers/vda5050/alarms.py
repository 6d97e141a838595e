"""The errors that a VDA 5050 vehicle shows in its state (2.1.0, 6.10), as alarms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from drivers.driver import Alarm
from protocols.vda5050 import Error, State, micros


def standing(state: State | None) -> dict[str, Alarm]:
    """Alarms that stand by a state, by id; none before there is one."""
    found = [] if state is None else [_alarm(error, micros(state.timestamp)) for error in state.errors]
    return {alarm.id: alarm for alarm in found}


def changes(before: Mapping[str, Alarm], after: Mapping[str, Alarm]) -> list[Alarm]:
    """What is to be told: alarms that are new or others now, then those that have ended."""
    changed = [alarm for name, alarm in after.items() if before.get(name) != alarm]
    ended = [old for name, old in before.items() if name not in after]
    return [*changed, *(replace(old, active=False, acknowledged=True) for old in ended)]


def _alarm(error: Error, at: int | None) -> Alarm:
    """An error of the vehicle as an alarm; one of the same type about the same things is the same one."""
    about = error.error_references if isinstance(error.error_references, tuple) else ()
    keys = ",".join(f"{each.reference_key}={each.reference_value}" for each in about[:8])
    return Alarm(
        id=f"{error.error_type}({keys})" if keys else error.error_type,
        source="",
        text=error.text[:500],
        severity=800 if error.error_level == "FATAL" else 400,
        active=True,
        acknowledged=False,
        time=at,
    )
