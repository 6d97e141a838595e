"""The drift of the models in use: rows counted, the alarm told once, of the model and not of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from cloud.maintenance.rul import registry
from cloud.maintenance.rul.drift import FEWEST_SAMPLES, Drift, DriftWatch, Seen
from cloud.maintenance.rul.registry import DriftKind, ModelVersion
from cloud.orders import exceptions
from protocols.prognostics.features import History
from protocols.prognostics.model import Model

NOTE = "model"
"""Kind of the entry in the exceptions inbox."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """What is to be written of one version."""

    version: str
    scope: str
    model: str
    seen: list[Seen]
    drift: Drift | None

    def write(self, tx: Connection, now: int) -> None:
        """Keep what was counted. The alarm, when it begins, becomes a note for the supervisor, which is
        settled when it ends.
        """
        registry.keep_seen(tx, self.version, self.seen)
        before, alarm = registry.version(tx, self.version).drift_kind, self.drift
        if alarm is not None and alarm.alarm:
            text = (
                f"{alarm.signal} is spread otherwise than in the training: stability index "
                f"{alarm.index:.2f} after {alarm.samples} rows"
            )
            registry.drifted(tx, self.version, DriftKind.SIGNALS, text, now)
            if before is DriftKind.NONE:
                note = f"model {self.model} of {self.scope} may fit no more: {text}. No machine is suspected"
                exceptions.record(tx, ts=now, kind=NOTE, text=note, concerns=self.version)
        elif before is DriftKind.SIGNALS:
            registry.drifted(tx, self.version, DriftKind.NONE, "", now)
            exceptions.settle(tx, ts=now, kind=NOTE, concerns=self.version)


@dataclass(slots=True)
class Drifts:
    """One watch for each version that is in use."""

    _watches: dict[str, tuple[ModelVersion, DriftWatch]] = field(default_factory=dict, init=False)
    _changed: set[str] = field(default_factory=set, init=False)

    def begin(self, version: ModelVersion, model: Model, seen: list[Seen] | None) -> None:
        """Watch a version, from what was counted before on."""
        if not model.expected:
            return  # a model that does not say what it was trained on
        # The training saw whole lives: the young machines of a new hall alone must not look like drift.
        lives = model.training.rows // max(1, model.training.assets)
        watch = DriftWatch(model.signals, model.expected, seen, max(FEWEST_SAMPLES, lives))
        self._watches[version.id] = version, watch

    def take(self, version: str, model: Model, history: History) -> None:
        """Count the newest row, which was made in a regime that the model knows."""
        found = self._watches.get(version)
        if found is not None:
            found[1].take([recent[-1] for recent in history.recent[: len(model.signals)]])
            self._changed.add(version)

    def changed(self) -> list[Drifted]:
        """What is to be written since this was last asked."""
        changed, self._changed = self._changed, set()
        found = []
        for name in sorted(changed):
            version, watch = self._watches[name]
            model = str(version.summary["name"])
            found.append(Drifted(name, version.scope, model, watch.seen, watch.drift()))
        return found

    def again(self, drifts: Sequence[Drifted]) -> None:
        """They could not be written."""
        self._changed |= {each.version for each in drifts}
