"""Why there is a new plan, in the language of who looks. Pure.

The planner writes its causes in English; another language comes by their kind, which is stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cloud.dispatching.keeping.plans import Cause
from cloud.web.speech import Speech

Title = Callable[[str], str]
"""How people call a workcell, by its id; other names stay as they are."""

WORDS: Mapping[str, str] = {
    "order": "order {about} came in",
    "remake": "remake job {about}",
    "rework": "rework {about}",
    "promise": "order {about} is promised anew",
    "material": "material of {about} comes at another time",
    "cancelled": "work of {about} is no longer to be done",
    "elsewhere": "{about} runs on another workcell than planned",
    "interrupted": "{about} was put down before it was finished",
    "held": "{about} went out to another workcell than planned",
    "released": "{about} was given back and may be moved",
    "down": "{about} is down",
    "up": "{about} is back",
    "stuck": "{about} is stuck",
    "freed": "{about} drives again",
    "hold": "job {about} is on hold",
    "disposed": "job {about} is on hold no more",
    "overtime": "overtime {about}",
    "closed": "planned stop {about}",
    "absent": "fewer heads for {about}",
    "extra": "more heads for {about}",
    "pin": "{about} is pinned",
    "maintenance": "maintenance of {about}",
    "late": "{about} takes longer than planned",
    "early": "{about} is earlier than planned",
    "waits": "{about} has not begun as planned",
    "asked": "a person asked for a new plan",
    "scenario": "what was asked came true",
}
"""By kind: what is said where the planner's own English words do not help."""

_PLACES = {"down", "up", "overtime", "closed"}
"""Kinds that are about a workcell."""
_DETAILED = _PLACES | {"stuck", "absent", "extra", "pin", "maintenance", "scenario"}
"""Kinds whose words go on behind a colon with what comes from outside."""

_FIRST = ("scenario", "asked", "down", "order", "remake", "promise", "cancelled", "overtime", "closed")
_RANK = {kind: rank for rank, kind in enumerate((*_FIRST, "absent", "extra", "pin", "stuck", "maintenance"))}
"""What people did and what broke comes before what only took its course."""


def cause_words(cause: Cause, say: Speech, title: Title) -> str:
    """One cause as a sentence without its full stop."""
    about = title(cause.about) if cause.kind in _PLACES and cause.about else cause.about
    if say.language == "en" or cause.kind not in WORDS:
        return cause.text.replace(cause.about, about, 1) if cause.about else cause.text
    words = say(WORDS[cause.kind], about=about).strip()
    _, _, detail = cause.text.partition(": ")
    return f"{words}: {say(detail)}" if detail and cause.kind in _DETAILED else words


def causes_words(causes: Iterable[Cause], say: Speech, title: Title, shown: int = 3) -> str:
    """The causes that matter most, and how many there are besides."""
    ranked = sorted(causes, key=lambda cause: _RANK.get(cause.kind, len(_RANK)))
    found = list(dict.fromkeys(cause_words(cause, say, title) for cause in ranked))
    more = say(" and {more} more", more=len(found) - shown) if len(found) > shown else ""
    return "; ".join(found[:shown]) + more
