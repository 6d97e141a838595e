"""What a machine showed when it was checked against its profile, and what of that deviates. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.capabilities import Identity
from drivers.profile.profile import AnyProfile, Role, Tag, WriteRule
from edge.commission.reading import row
from edge.identity import Examination, Verdict, is_checked
from edge.tags import TagState, fitted
from protocols.values import Quality, Reading

ON_TIME = 0.8
"""Share of the readings due by a tag's sampling that must have come."""


@dataclass(slots=True)
class Watched:
    """What came while the machine was watched."""

    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    """Readings of each tag that were not bad."""
    went_bad: dict[str, str] = field(default_factory=dict)
    """Why a tag had no good value in between."""
    lost: str = ""
    """Why the machine was lost meanwhile; empty when it was not."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything a machine showed. ``examination`` is None when it did not say what it is."""

    examination: Examination | None
    verdict: Verdict
    readings: tuple[Reading, ...]
    problems: Mapping[str, str]
    watched: Watched | None = None
    subscribes: bool = False
    """Whether the machine reports changes only, so that readings that do not come mean nothing."""


@dataclass(frozen=True, slots=True)
class TagResult:
    """One tag: what came back and what of it deviates."""

    name: str
    tag: Tag
    reading: Reading
    value: str
    """With its unit; ✕ when there is none."""
    word: str
    quality: Quality
    """As an edge takes it: a value that the tag's type cannot hold is bad."""
    rate: float | None
    """Readings a second; None when it was not watched long enough for two of them."""
    came: str
    """How often, in words: a rate, or how many changes where only these come; empty when there is none."""
    deviations: tuple[str, ...]
    failed: bool


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The whole check of one machine."""

    profile: AnyProfile
    seen: Observation
    results: tuple[TagResult, ...]

    @property
    def bad(self) -> int:
        """Tags that failed."""
        return sum(result.failed for result in self.results)

    @property
    def deviations(self) -> list[tuple[str, str]]:
        """Everything that is not as the profile says: the tag, or ``machine``, and what."""
        verdict, watched = self.seen.verdict, self.seen.watched
        found = [("machine", text) for text in verdict.differences]
        if verdict.firmware:
            found.append(
                ("machine", f'firmware "{verdict.firmware}" found, {verdict.expected_firmware} expected')
            )
        if watched is not None and watched.lost:
            found.append(("machine", f"lost after {watched.seconds:.1f} s: {watched.lost}"))
        return found + [(result.name, text) for result in self.results for text in result.deviations]

    @property
    def passed(self) -> bool:
        """Whether every tag was read and the machine is the one its profile was made for."""
        lost = self.seen.watched is not None and self.seen.watched.lost
        return not (self.bad or self.seen.verdict.refuses or lost)

    @property
    def identity(self) -> dict[str, str]:
        """What the machine says of itself; empty when it says nothing."""
        if self.seen.examination is None:
            return {}
        found = self.seen.examination.found
        said = {name: getattr(found, name) for name in ("vendor", "product", "firmware", "serial")}
        return {name: text for name, text in {**said, **found.more}.items() if text}

    @property
    def not_tested(self) -> list[str]:
        """What this check says nothing about, for the person who signs."""
        return list(_not_tested(self.profile, self.seen))


def judged(profile: AnyProfile, seen: Observation) -> Acceptance:
    """An observation, tag by tag."""
    return Acceptance(profile, seen, tuple(_result(profile, seen, reading) for reading in seen.readings))


def _result(profile: AnyProfile, seen: Observation, reading: Reading) -> TagResult:
    tag, watched = profile.tags[reading.path], seen.watched
    _, value, word = row(reading, profile, seen.problems)
    quality, deviations = reading.quality, []
    if reading.quality is Quality.BAD:
        deviations.append(word.rstrip(": "))
        word = ""
    else:
        if reading.quality is Quality.UNCERTAIN:
            deviations.append(f"uncertain: {reading.reason.name.lower()}")
        _, kept, why = fitted(TagState(reading.path, tag, 0), reading.value)
        if kept is not Quality.GOOD:
            quality = max(quality, kept)
            deviations.append(f"{why.name.lower()}: {tag.value_type} does not hold this value")
        deviations += _meaning(profile, reading, tag)
    failed = quality is Quality.BAD
    rate = None
    if watched is not None and watched.seconds > 0:
        due = watched.seconds / tag.sampling
        if due >= 2 or seen.subscribes:
            rate = watched.counts.get(reading.path, 0) / watched.seconds
        if (cause := watched.went_bad.get(reading.path)) is not None and not failed:
            deviations.append(f"went bad while watched: {cause}")
            failed = True
        late = rate is not None and watched.counts.get(reading.path, 0) + 1 < ON_TIME * due
        if rate is not None and late and not failed and not seen.subscribes:
            deviations.append(f"comes {spoken_rate(rate)} instead of {spoken_rate(1 / tag.sampling)}")
    came = ""
    if watched is not None and rate and quality is not Quality.BAD:
        came = f"{watched.counts[reading.path]}×" if seen.subscribes else spoken_rate(rate)
    said = tuple(deviations)
    return TagResult(reading.path, tag, reading, value or '""', word, quality, rate, came, said, failed)


def _meaning(profile: AnyProfile, reading: Reading, tag: Tag) -> Iterator[str]:
    value = reading.value
    if tag.role is Role.STATE and profile.states and profile.state_of(value) is None:
        yield f"{value} is not listed under states: the edge will not know what it means"
    elif tag.enum and isinstance(value, int) and value not in tag.enum:
        yield f"{value} has no word in its enum"


def _not_tested(profile: AnyProfile, seen: Observation) -> Iterator[str]:
    yield "whether the values are right: compare them with the machine's own display, tag by tag"
    if seen.watched is None:
        yield "how often values come, and whether the connection holds (--seconds)"
    else:
        slow = sum(2 * tag.sampling > seen.watched.seconds for tag in profile.tags.values() if tag.readable)
        if slow:
            yield f"how often {slow} slow {'tag comes' if slow == 1 else 'tags come'}: watch for longer"
        if seen.subscribes:
            yield "how often values come that do not change: the machine reports changes only"
    if not is_checked(profile):
        yield "whether it is the right machine: the profile has no identification"
    elif seen.examination is None:
        yield "which machine it is: it did not answer the question"
    else:
        yield from _unsaid(profile, seen.examination.found)
    if profile.writes:
        yield f"writes: {len(profile.writes)} allowed by the profile, none was sent"
    methods = getattr(profile, "methods", None)
    if methods:
        yield f"method calls: {len(methods)} allowed by the profile, none was made"
    if profile.files is not None:
        yield "program files: none was listed, read or written"
    sent_only = [name for name, tag in profile.tags.items() if not tag.readable]
    if sent_only:
        yield f"tags that can only be written: {', '.join(sent_only)}"
    yield "alarms, history after a gap, and how the machine behaves when it is switched off"


def _unsaid(profile: AnyProfile, found: Identity) -> Iterator[str]:
    """What the profile would compare and the machine does not say."""
    wanted = {
        "vendor": profile.identification.vendor,
        "product": profile.identification.product,
        "firmware": profile.firmware.min or profile.firmware.max,
    }
    missing = [what for what, pattern in wanted.items() if pattern and not getattr(found, what)]
    if missing:
        yield f"its {', '.join(missing)}: the machine does not say, so nothing was compared"


def limits(rule: WriteRule) -> str:
    """What a write rule allows, in words."""
    said = []
    if rule.min is not None or rule.max is not None:
        low = "any" if rule.min is None else f"{rule.min:g}"
        said.append(f"{low} to {'any' if rule.max is None else f'{rule.max:g}'}")
    if rule.allowed is not None:
        said.append("one of " + ", ".join(str(value) for value in rule.allowed))
    return "; ".join(said) or "any value of its type"


def conditions(rule: WriteRule) -> str:
    """What must hold before a write, in words."""
    said = []
    if rule.precondition is not None:
        wanted = rule.precondition.equals
        shown = str(wanted).lower() if isinstance(wanted, bool) else wanted
        said.append(f"{rule.precondition.tag} = {shown}")
    if rule.item_states is not None:
        said.append("machine is " + " or ".join(rule.item_states))
    if rule.interval is not None:
        said.append(f"at least {rule.interval:g} s apart")
    if rule.effect != "parameter":
        said.append(f"{rule.effect}: confirmed at the station, remote enabled")
    if rule.two_people:
        said.append("two people")
    return "; ".join(said) or "none"


def spoken_rate(rate: float) -> str:
    """``5.0/s``, or ``every 20 s`` where it is slower than that."""
    if rate <= 0:
        return "never"
    return f"{rate:.1f}/s" if rate >= 0.95 else f"every {1 / rate:.{1 if rate > 0.1 else 0}f} s"


def as_data(acceptance: Acceptance) -> dict[str, Any]:
    """The check for other programs."""
    watched = acceptance.seen.watched
    return {
        "passed": acceptance.passed,
        "identity": acceptance.identity,
        "deviations": [{"of": of, "text": text} for of, text in acceptance.deviations],
        "tags": [
            {
                "tag": result.name,
                "value": result.reading.value,
                "unit": result.tag.unit,
                "quality": result.quality.name.lower(),
                "reason": result.reading.reason.name.lower(),
                "problem": acceptance.seen.problems.get(result.name, ""),
                "deviations": list(result.deviations),
                "rate": None if result.rate is None else round(result.rate, 3),
                "sampling": result.tag.sampling,
            }
            for result in acceptance.results
        ],
        "watched_seconds": None if watched is None else round(watched.seconds, 3),
        "lost": "" if watched is None else watched.lost,
        "not_tested": acceptance.not_tested,
    }
