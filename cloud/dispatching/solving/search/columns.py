"""The columns of the arrays the compiled search works on; a row is an activity, option, arc or station."""

from __future__ import annotations

OPTION, STATION, SECONDS, STATE, HEAD, TAIL, READY, REST, PREVIOUS, NEXT, POSITION = range(11)
"""Of ``a``: what is decided. ``READY`` is the part of the head that does not come from the station, ``REST``
the same of the tail; ``PREVIOUS`` and ``NEXT`` are the neighbours there; ``POSITION`` in ``order``."""
OPTION_AT, OPTION_END, BEFORE_AT, BEFORE_END, AFTER_AT, AFTER_END = range(11, 17)
"""Of ``a``: which rows of ``o`` are its options, of ``e`` what it waits for and what waits for it."""
COLUMNS = 17
O_STATION, O_SECONDS, O_RELEASE, O_STATE = range(4)
"""Of ``o``; ``O_RELEASE`` is the earliest start."""
OTHER, LAG = range(2)
"""Of ``e``."""
FIRST, LAST, CHANGE_AT, STATES, FIRST_STATE, READY_AT = range(6)
"""Of ``m``: first and last activity, where its changeovers begin in ``t`` (−1: none) and how long a row of
them is, and how and when it is free at first."""
