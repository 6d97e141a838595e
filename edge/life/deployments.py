"""Models that the service sends to this edge: taken in part by part, checked with this edge's own keys, kept
on disk, used; and the renewals that it knows of.

What the service sends again changes nothing. A model that cannot be used leaves the one before in use, and
the service is told why. After a restart the edge goes on with what it has, with no service.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from edge.config import Machine
from edge.life import journal
from edge.life.journal import Kept
from edge.life.lives import Known, Lives, begun
from edge.life.model_files import EdgeModel, checked, lacking
from edge.outbox.outbox import append_states
from edge.outbox.store import Store
from protocols.catalogue import Catalogue
from protocols.clock import Clock
from protocols.packing import UndecodableError
from protocols.prognostics.deployment import FILE_FIRST, NOBODY_TRUSTED, Assigned, Deployment, Part
from protocols.prognostics.model_file import ModelRefusedError
from protocols.states import ModelHeld, ModelsHeld

log = structlog.get_logger(__name__)

ASK_AGAIN = 10.0
"""Seconds without a part after which the files that are missing are asked for once more."""
MAX_WHY = 400


Announce = Callable[
    [Mapping[str, EdgeModel], Sequence[Machine], Callable[[Mapping[str, Catalogue]], None]], Awaitable[None]
]


@dataclass(slots=True)
class Deployments:
    """Of one edge. ``files`` are the models that ``edge.yaml`` names, by device: they go first. ``trusted``
    are its keys. Call :meth:`open` before anything else; what stands below is set before :meth:`received`.
    """

    edge: str
    files: Mapping[str, EdgeModel]
    trusted: Mapping[str, bytes]
    store: Store
    clock: Clock
    lives: Lives
    machines: Callable[[], Mapping[str, Machine]] = field(init=False)
    """The machines that this edge runs now."""
    announce: Announce = field(init=False)
    """Makes the tags known by which these models, by device, tell lives; from then on they may tell them.
    With the numbers of some machines' tags it calls what is to be done at that moment."""
    _used: dict[str, tuple[Kept, EdgeModel]] = field(default_factory=dict, init=False)
    """What the service sent and is used, by device."""
    _wanted: Deployment | None = field(default=None, init=False)
    _checked: dict[str, EdgeModel | str] = field(default_factory=dict, init=False)
    """By hash: the model of a file, or why it is refused."""
    _missing: set[str] = field(default_factory=set, init=False)
    """Hashes of files of which not all parts are here."""
    _told: ModelsHeld | None = field(default=None, init=False)
    _asked: float = field(default=-ASK_AGAIN, init=False)
    """Monotonic seconds of the newest part, or of the newest question for some."""

    @property
    def models(self) -> dict[str, EdgeModel]:
        """What every machine is scored with."""
        return {device: model for device, (_, model) in self._used.items()} | dict(self.files)

    async def open(self, machines: Mapping[str, Machine]) -> None:
        """Take up what was used before. What cannot be used any more is logged and left out: the service
        sends it again."""
        for kept in await self.store.read(journal.models):
            machine = machines.get(kept.device)
            if machine is None or str(machine.device.asset) != kept.asset or kept.device in self.files:
                continue
            model = await self._read(kept.sha256)
            why = model if isinstance(model, str) else _unfit(model, machine)
            if why or isinstance(model, str):
                log.error("life.model_not_used", device=kept.device, why=why)
            else:
                self._used[kept.device] = kept, model
        self._checked.clear()  # a file that was damaged here is asked for anew

    async def received(self, message: Deployment | Part) -> None:
        """The service says what to score with, or sends a part of a file.

        Raises:
            OutboxFullError: there is no room; it comes again.
        """
        if isinstance(message, Part):
            await self._take(message)
        elif message.edge == self.edge:
            if self._wanted is None or message.id != self._wanted.id:
                self._checked.clear()
            self._wanted = message
            await self._settle(message)

    async def _take(self, part: Part) -> None:
        if part.sha256 not in self._missing:
            return

        def keep(db: sqlite3.Connection) -> bool:
            journal.keep_part(db, part)
            return journal.missing(db, part.sha256)

        self._asked = self.clock.monotonic()
        if not await self.store.run(keep, urgent=False) and self._wanted is not None:
            self._missing.discard(part.sha256)
            await self._settle(self._wanted)

    # --- what a deployment asks for -------------------------------------------------------------------

    async def _settle(self, wanted: Deployment) -> None:
        """Do what a deployment asks for, as far as its files are here, and tell the service."""
        machines, missing = self.machines(), set()
        refused: dict[str, tuple[str, str]] = {}
        fresh: dict[str, tuple[Assigned, EdgeModel]] = {}
        for one in wanted.machines:
            why = self._cannot(one, machines)
            used = self._used.get(one.device)
            if not why and used is not None and _same(used[0], one):
                continue
            model = None if why else await self._model(one.sha256)
            if isinstance(model, EdgeModel):
                why = _unfit(model, machines[one.device])
            elif isinstance(model, str):
                why = model
            elif not why:
                missing.add(one.sha256)
            if why:
                refused[one.device] = one.sha256, why[:MAX_WHY]
            elif isinstance(model, EdgeModel):
                fresh[one.device] = one, model
        self._missing = missing
        await self._renew(wanted, machines)
        gone = self._used.keys() - {one.device for one in wanted.machines}
        if fresh or gone:
            await self._use(wanted, fresh, gone, machines)
        await self._tell(wanted, refused)

    def _cannot(self, one: Assigned, machines: Mapping[str, Machine]) -> str:
        """Why a machine is not scored with what the service sent, whatever it is; empty where it can be."""
        machine = machines.get(one.device)
        if machine is None:
            return f"this edge has no device {one.device}: the service has another site file"
        if str(machine.device.asset) != one.asset:
            return f"{one.device} is asset {machine.device.asset} here: the service has another site file"
        file = self.files.get(one.device)
        if file is not None and file.sha256 != one.sha256:
            return FILE_FIRST
        if not self.trusted:
            return NOBODY_TRUSTED
        return ""

    async def _model(self, sha256: str) -> EdgeModel | str | None:
        """The model of a hash, or why it is refused; None where not all of its file is here."""
        known = next((model for _, model in self._used.values() if model.sha256 == sha256), None)
        known = known or next((model for model in self.files.values() if model.sha256 == sha256), None)
        if known is not None:
            return known
        if sha256 not in self._checked and await self.store.read(lambda db: journal.missing(db, sha256)):
            return None
        return await self._read(sha256)

    async def _read(self, sha256: str) -> EdgeModel | str:
        """The model of a file that is here, checked; a file that is refused is forgotten."""
        if sha256 not in self._checked:
            try:
                data = await self.store.read(lambda db: journal.file(db, sha256))
                model = await asyncio.to_thread(checked, data, f"model {sha256[:12]}", self.trusted)
                if model.sha256 != sha256:
                    raise ModelRefusedError(f"model {sha256[:12]}: it is another one, {model.sha256[:12]}")
                self._checked[sha256] = model
            except (ModelRefusedError, UndecodableError) as error:
                self._checked[sha256] = str(error)
                await self.store.run(lambda db: journal.forget_file(db, sha256), urgent=False)
        return self._checked[sha256]

    async def _renew(self, wanted: Deployment, machines: Mapping[str, Machine]) -> None:
        """Let lives begin anew that the service knows of and this edge does not."""
        assigned = {one.device: one for one in wanted.machines}
        for device, since in wanted.renewed.items():
            machine = machines.get(device)
            if machine is None or since <= self.lives.since(str(machine.device.asset)):
                continue
            one, model = assigned.get(device), self.models.get(device)
            known = None
            if one is not None and model is not None and model.sha256 == one.sha256:
                known = await self._known(one, model)
            self.lives.renewed(device, since, str(machine.device.asset), known)

    async def _known(self, one: Assigned, model: EdgeModel) -> Known | None:
        """What the service remembered of a machine."""
        if not one.beginning:
            return None
        known = await asyncio.to_thread(begun, model, one.beginning)
        if known is None:
            log.error("life.beginning_not_used", device=one.device, model=model.sha256[:12])
        return known

    async def _use(
        self,
        wanted: Deployment,
        fresh: Mapping[str, tuple[Assigned, EdgeModel]],
        gone: set[str],
        machines: Mapping[str, Machine],
    ) -> None:
        now = self.clock.now()
        known = {
            device: await self._known(one, model)
            for device, (one, model) in fresh.items()
            # What was repaired here is newer than what the service remembers.
            if self.lives.since(one.asset) == wanted.renewed.get(device, 0)
        }
        used = {device: each for device, each in self._used.items() if device not in gone}
        for device, (one, model) in fresh.items():
            used[device] = Kept(device, one.asset, one.sha256, now), model
        scored = [device for device in fresh if device not in self.files]

        def begin(numbers: Mapping[str, Catalogue]) -> None:
            self._used = used
            for device in gone - self.files.keys():
                self.lives.drop(device)
            for device in scored:
                one, model = fresh[device]
                self.lives.take_up(device, one.asset, model, known.get(device), numbers[device])

        models = {device: model for device, (_, model) in used.items()} | dict(self.files)
        await self.announce(models, [machines[device] for device in scored], begin)
        log.info("life.models_used", devices=sorted(used), taken_up=sorted(fresh), dropped=sorted(gone))

    # --- what the service is told ---------------------------------------------------------------------

    async def _tell(self, wanted: Deployment, refused: Mapping[str, tuple[str, str]]) -> None:
        """Keep what is used, and tell it in the same transaction; files that are missing not too often."""
        said = ModelsHeld(0, wanted.id, tuple(self._held(wanted, refused)), tuple(sorted(self._missing)))
        waits = self.clock.monotonic() - self._asked < ASK_AGAIN
        if self._missing and waits and self._told == said:
            return
        self._told = said
        if self._missing:
            self._asked = self.clock.monotonic()
        event = ModelsHeld(self.clock.now(), said.deployment, said.machines, said.wants)
        kept = [kept for kept, _ in self._used.values()]
        files = [one.sha256 for one in wanted.machines]

        def write(db: sqlite3.Connection) -> None:
            journal.keep_models(db, kept, files)
            append_states(db, [event])

        try:
            await self.lives.save(write)
        except Exception:
            self._told = None
            raise

    def _held(self, wanted: Deployment, refused: Mapping[str, tuple[str, str]]) -> Sequence[ModelHeld]:
        machines = self.machines()
        devices = sorted({*self.models, *(one.device for one in wanted.machines)})
        found = []
        for device in devices:
            sha256, why = refused.get(device, ("", ""))
            life = self.lives.since(str(machines[device].device.asset)) if device in machines else 0
            if device in self.files:
                held = ModelHeld(device, self.files[device].sha256, 0, True, sha256, why, life)
            elif device in self._used:
                kept = self._used[device][0]
                held = ModelHeld(device, kept.sha256, kept.since, False, sha256, why, life)
            else:
                held = ModelHeld(device, refused=sha256, why=why, life=life)
            found.append(held)
        return found


def _same(kept: Kept, one: Assigned) -> bool:
    return (kept.asset, kept.sha256) == (one.asset, one.sha256)


def _unfit(model: EdgeModel, machine: Machine) -> str:
    """Why a model cannot score a machine; empty where it can."""
    return "; ".join(lacking(model.prognoser.model, machine.profile))
