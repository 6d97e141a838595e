"""What a changed configuration asks of an edge that runs. Pure: two setups in, what differs comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.config import Machine, Setup

_WORDS = ("title", "serial", "asset")
"""Of a device: what only people and the cloud read. Nothing at the edge depends on it."""
_STARTED_WITH = ("data", "broker", "api", "outbox", "changes", "sparkplug", "life")
"""Parts of ``edge.yaml`` that are taken up at the start only."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Which devices come, change and go; ``restart`` names what has to wait for the next start."""

    added: tuple[Machine, ...] = ()
    changed: tuple[Machine, ...] = ()
    removed: tuple[str, ...] = ()
    relabelled: tuple[Machine, ...] = ()
    """Only words changed: nothing of these has to be done anew."""
    rejected: tuple[str, ...] = ()
    """Devices whose configuration has been tried before, as it is, and did not work."""
    restart: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing that can be done while the edge runs is asked for."""
        return not (self.added or self.changed or self.removed or self.relabelled)


def differences(
    started: Setup, running: Mapping[str, Machine], wanted: Setup, rejected: Mapping[str, Machine]
) -> Differences:
    """What to do so that ``running`` (machines by device) becomes what ``wanted`` says.

    ``started`` is what the edge was started with; ``rejected`` holds what failed its probation. Another
    edge's name in ``edge.yaml`` makes it another edge: then nothing is done before a restart.
    """
    if wanted.edge.id != started.edge.id:
        return Differences(restart=("edge in edge.yaml",))
    asked = {machine.device.id: machine for machine in wanted.machines}
    changed, relabelled, failed = [], [], []
    for device, machine in asked.items():
        before = running.get(device)
        if before is None or machine == before:
            continue
        if _is_relabelled(before, machine):
            relabelled.append(machine)
        elif machine == rejected.get(device):
            failed.append(device)
        else:
            changed.append(machine)
    return Differences(
        added=tuple(machine for device, machine in asked.items() if device not in running),
        changed=tuple(changed),
        removed=tuple(device for device in running if device not in asked),
        relabelled=tuple(relabelled),
        rejected=tuple(failed),
        restart=tuple(_restart(started, wanted)),
    )


def _is_relabelled(before: Machine, after: Machine) -> bool:
    words = {name: getattr(after.device, name) for name in _WORDS}
    return before.profile == after.profile and before.device.model_copy(update=words) == after.device


def _restart(started: Setup, wanted: Setup) -> Iterator[str]:
    for name in _STARTED_WITH:
        if getattr(started.config, name) != getattr(wanted.config, name):
            yield f"{name} in edge.yaml"
    if _hashes(started) != _hashes(wanted):
        yield "the models that edge.yaml names"
    if _stations(started) != _stations(wanted):
        yield f"the workcells of edge {wanted.edge.id} in the site"
    if [edge.id for edge in started.site.edges] != [edge.id for edge in wanted.site.edges]:
        yield "the list of edges in the site"


def _hashes(setup: Setup) -> object:
    return {device: model.sha256 for device, model in setup.life.models.items()}


def _stations(setup: Setup) -> object:
    """All that the stations of this edge were made from."""
    cells = setup.site.workcells()
    site = setup.site
    return (
        [cells[name] for name in setup.edge.workcells],
        site.stop_reasons,
        site.scrap_reasons,
        site.andon_topics,
    )


def applied_hashes(
    before: Mapping[str, str],
    after: Mapping[str, str],
    running: Mapping[str, Machine],
    wanted: Mapping[str, Machine],
) -> dict[str, str]:
    """Content hashes of what runs: of a file that is not applied as a whole, the one from before stays."""
    held = set()
    for device, machine in wanted.items():
        runs = running.get(device)
        if runs is None or runs == machine:
            continue
        if runs.profile != machine.profile:
            held.add(f"profile:{machine.device.profile}")
        if runs.device != machine.device:
            held.add("site")
    return {name: before[name] if name in held and name in before else hash_ for name, hash_ in after.items()}
