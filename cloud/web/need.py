"""One entry of what needs a person now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person now. ``rank`` orders: small is urgent; ``opens`` is the sheet that says
    more, ``action`` what can be done about ``target`` from here (empty: only looking into it).
    """

    rank: int
    since: int
    shape: str
    text: str
    detail: str
    opens: str
    action: str = ""
    target: str = ""
