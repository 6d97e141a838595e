"""What is released for an edge's machines, and what was last found of it there. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from drivers.programs import Program, Standing
from edge.programs.releases import Release, Releases, kinds_of
from protocols.site import Device, Site


class State(StrEnum):
    """How a machine's copy of a program stands to the release."""

    UNSEEN = "unseen"
    RELEASED = "released"
    OUTDATED = "outdated"
    """A former release: it may be replaced without asking."""
    EDITED = "edited"
    PARTIAL = "partial"
    """Only its beginning is there: a transfer did not end. It may be sent again without asking."""
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Known:
    """One released program of one machine. ``found`` is the hash of what lies there, ``looked`` when that was
    last tried (µs UTC), ``wanted`` whether an operation in hand needs it, ``ran`` whether it was not replaced
    because the machine ran it."""

    release: Release
    state: State = State.UNSEEN
    found: str = ""
    detail: str = ""
    looked: int = 0
    wanted: bool = False
    ran: bool = False

    @property
    def is_to_say(self) -> bool:
        """Whether people at the station are to know of it."""
        if self.state in (State.EDITED, State.OUTDATED, State.PARTIAL):
            return True
        return self.wanted and self.state in (State.MISSING, State.UNREADABLE)


def judged(known: Known, seen: Program, now: int) -> Known:
    """What is known once a machine's copy was looked at."""
    state = State(seen.standing.value)
    if seen.standing is Standing.EDITED and seen.found in known.release.earlier:
        state = State.OUTDATED
    ran = known.ran and state is not State.RELEASED
    return replace(known, state=state, found=seen.found, detail=seen.detail, looked=now, ran=ran)


@dataclass(slots=True)
class Book:
    """Of all machines of one edge."""

    releases: Releases | None = None
    _known: dict[str, dict[str, Known]] = field(default_factory=dict, init=False)

    def renew(self, releases: Releases | None, site: Site, devices: Mapping[str, Device]) -> None:
        """Another release list or other devices; what is released as before keeps what was found of it."""
        before, self._known = self._known, {}
        self.releases = releases
        kinds = kinds_of(site)
        if releases is None:
            return
        for name, device in devices.items():
            known = before.get(name, {})
            self._known[name] = {
                program: known[program]
                if program in known and known[program].release == release
                else Known(release)
                for program, release in releases.for_device(device, kinds).items()
            }

    def of(self, device: str) -> Mapping[str, Known]:
        """Released programs of a machine, by what operations call them."""
        return self._known.get(device, {})

    def devices(self) -> list[str]:
        """Machines that anything is released for."""
        return [device for device, known in self._known.items() if known]

    def learn(self, device: str, known: Known) -> bool:
        """Keep what was found, unless another release has come meanwhile; whether anything changed to see."""
        before = self.of(device).get(known.release.program)
        if before is None or before.release != known.release:
            return False
        known = replace(known, wanted=before.wanted)
        self._known[device][known.release.program] = known
        return replace(before, looked=0) != replace(known, looked=0)

    def want(self, wanted: Mapping[str, Mapping[str, object]]) -> bool:
        """Programs that operations in hand need, by device; whether that is something else than before."""
        changed = False
        for device, programs in self._known.items():
            for program, known in programs.items():
                if known.wanted != (program in wanted.get(device, {})):
                    programs[program] = replace(known, wanted=not known.wanted)
                    changed = True
        return changed
