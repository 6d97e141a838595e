"""When a machine that was lost is tried again. Pure: the caller brings the time.

A machine that was there a moment ago is tried every two seconds, for its program is being restarted or
somebody stands before it. One that has been silent for long is *demoted*: it is tried at growing intervals,
for each attempt costs a bus or a network something.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST, SOON, MOST = 0.5, 2.0, 30.0
"""Seconds between attempts: doubling up to ``SOON``; up to ``MOST`` once it is demoted."""
LOST_FOR_LONG = 600.0
"""Seconds until a machine is demoted where nothing else is said."""
SETTLED = 10.0
"""Seconds a connection must hold before the next loss starts with the shortest wait again."""


@dataclass(slots=True)
class Retry:
    """One machine. ``since`` is when it was last there, in seconds of whatever clock the caller uses.

    ``demote_after`` is how many attempts in a row must fail before it is demoted; None leaves it to time.
    """

    since: float
    demote_after: int | None = None
    failures: int = field(default=0, init=False)
    """Attempts in a row at which it did not answer."""
    _wait: float = field(default=FIRST, init=False)

    def failed(self, now: float, lasted: float | None) -> float:
        """An attempt ended, or a connection that had answered for ``lasted`` seconds; seconds to wait now."""
        if lasted is None:
            self.failures += 1
        else:
            self.failures, self.since = 0, now
            if lasted >= SETTLED:
                self._wait = FIRST
        wait = self._wait
        self._wait = min(2 * wait, MOST if self.is_demoted(now) else SOON)
        return wait

    def is_demoted(self, now: float) -> bool:
        """Whether it is tried at growing intervals."""
        if self.demote_after is not None:
            return self.failures >= self.demote_after
        return now - self.since >= LOST_FOR_LONG
