"""What a decision needs to know of a machine: its profile's permissions, and how it is at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from drivers.driver import Driver
from drivers.profile.profile import AnyProfile
from drivers.profile.rules import MethodRule
from edge.programs.book import Known
from protocols.values import Value


@dataclass(frozen=True, slots=True)
class Facts:
    """``firmware`` is a version outside the profile's range that nobody has accepted; ``values`` are the
    newest good ones, by tag."""

    device: str
    title: str
    profile: AnyProfile
    connected: bool
    firmware: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    methods: Mapping[str, MethodRule] = field(default_factory=dict)
    programs: Mapping[str, Known] = field(default_factory=dict)
    """Released programs, and what was last found of them at the machine."""


class Machines(Protocol):
    """The machines of this edge."""

    def facts(self, device: str) -> Facts | None:
        """What is known of a machine; None where the edge has no such device."""

    def driver(self, device: str) -> Driver[Any] | None:
        """Its connected driver; None while it is away."""

    def refuse(self, device: str) -> None:
        """The lock or the accepted firmware of a machine changed: its driver is to follow at once."""


class NoMachines:
    """An edge without machines, for stations where the work is by hand."""

    def facts(self, device: str) -> Facts | None:
        return None

    def driver(self, device: str) -> Driver[Any] | None:
        return None

    def refuse(self, device: str) -> None:
        return None
