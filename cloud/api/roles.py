"""What accounts may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What an account may do: look, say when a machine is to be maintained, or order and decide as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    """Whoever works at the machines: may keep, move, free or refuse a maintenance order, with a reason."""
    SUPERVISOR = "supervisor"
