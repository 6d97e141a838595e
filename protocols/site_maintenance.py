"""How machines are kept up: the ``maintenance`` section of the site file.

Rules in the order of the file; the first that fits a machine and its failure holds. What none fits is kept
up by the defaults, so that a site without the section plans, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from protocols.documents import Finding, not_one_of

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
OptionalName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,32}$")]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]{1,64}$")]
Words = Annotated[str, StringConstraints(max_length=300)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UpkeepStep(_Part):
    """One step of the instruction that the terminal shows."""

    text: Words
    text_zh: Words = ""


class Upkeep(_Part):
    """What is done against a failure. Left out, ``device``, ``kind`` (of workcell) and ``mode`` fit any.

    The order may begin ``lead_hours`` after it is planned, when the parts are there. It should be done before
    the lower bound of the remaining life, of which the share ``margin`` is kept in hand; where nothing
    foretells that, within ``within_hours``. Putting it off costs ``weight`` times as much as usual.

    ``limits`` gives tags of the machine and the value, in the tag's unit, at which it stops itself or may be
    used no longer, as its manual or a standard says: a growing tag is then foretold to that value.
    """

    device: OptionalName = ""
    kind: OptionalName = ""
    mode: str = Field(default="", max_length=64, description="failure mode, e.g. wear")
    title: str = Field(default="Maintenance", max_length=60)
    title_zh: str = Field(default="维护", max_length=60)
    seconds: int = Field(default=3600, ge=1, le=864_000, description="how long the machine stands still")
    lead_hours: float = Field(default=0.0, ge=0, le=8784, description="until the parts are there")
    within_hours: float = Field(default=24.0, gt=0, le=8784, description="bound where nothing foretells it")
    margin: float = Field(default=0.2, ge=0, lt=1, description="share of the remaining life kept in hand")
    weight: int = Field(default=1, ge=1, le=100, description="how much worse than usual it is to wait")
    limits: dict[TagName, Annotated[float, Field(gt=0, lt=1e12)]] = Field(
        default_factory=dict, max_length=20, description="tag: value at which the machine stops itself"
    )
    needs: dict[Name, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict, max_length=20, description="heads of a skill and tools it takes"
    )
    parts: tuple[Annotated[str, StringConstraints(max_length=80)], ...] = Field(default=(), max_length=50)
    steps: tuple[UpkeepStep, ...] = Field(default=(), max_length=40)

    def fits(self, device: str, kinds: Sequence[str], mode: str) -> bool:
        """Whether it holds for a failure of a device that stands at workcells of these kinds."""
        return (
            self.device in ("", device) and (not self.kind or self.kind in kinds) and self.mode in ("", mode)
        )


class Maintenance(_Part):
    """Rules, the first that fits holds; ``default`` is what holds where none does."""

    default: Upkeep = Upkeep()
    rules: tuple[Upkeep, ...] = Field(default=(), max_length=500)

    def upkeep(self, device: str, kinds: Sequence[str], mode: str) -> Upkeep:
        """What is done against a failure of a device."""
        return next((rule for rule in self.rules if rule.fits(device, kinds, mode)), self.default)


def inconsistent_rules(
    site: Mapping[Any, Any], kinds: Sequence[str], devices: Sequence[str], most: Mapping[str, int]
) -> Iterator[Finding]:
    """Rules about machines that the site has not, that need what it has not, or that never hold.

    ``site`` is plain data, whose parts may be wrong themselves; ``most`` is what there is at most of every
    crew and tool.
    """
    section = site.get("maintenance")
    if not isinstance(section, Mapping):
        return
    default, rules = section.get("default"), section.get("rules")
    found: list[tuple[tuple[str | int, ...], Mapping[Any, Any]]] = []
    if isinstance(default, Mapping):
        for name in ("device", "kind", "mode"):
            if default.get(name):
                yield Finding(
                    ("maintenance", "default", name), "the default holds for everything: make this a rule"
                )
        found.append((("maintenance", "default"), default))
    seen: dict[tuple[str, str, str], int] = {}
    for number, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        if not isinstance(rule, Mapping):
            continue
        at: tuple[str | int, ...] = ("maintenance", "rules", number)
        found.append((at, rule))
        for name, known in (("device", devices), ("kind", kinds)):
            value = rule.get(name)
            if value and value not in known:
                where = "no edge has such a device" if name == "device" else "no workcell is of this kind"
                yield Finding((*at, name), f"{where}: {not_one_of(value, known)}")
        about = tuple(str(rule.get(name) or "") for name in ("device", "kind", "mode"))
        before = next((n for key, n in seen.items() if _covers(key, about)), None)
        if before is not None:
            yield Finding(
                at, f"this rule never holds: rule {before + 1} fits everything it fits, and is first"
            )
        seen.setdefault((about[0], about[1], about[2]), number)
    for at, rule in found:
        needs = rule.get("needs")
        for name, number in needs.items() if isinstance(needs, Mapping) else ():
            if name not in most:
                known_words = not_one_of(name, most) if most else "there are none"
                yield Finding((*at, "needs", name), f"neither crew nor tools have it: {known_words}")
            elif isinstance(number, int) and number > most[name]:
                text = f"{number} are needed, and there are never more than {most[name]}"
                yield Finding((*at, "needs", name), text)


def _covers(rule: Sequence[str], other: Sequence[str]) -> bool:
    return all(one in ("", another) for one, another in zip(rule, other, strict=True))
