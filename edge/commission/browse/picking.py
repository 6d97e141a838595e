"""What somebody picked of a machine, as a profile. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from drivers.driver import Identity
from drivers.imports.profile_file import profile_text
from drivers.imports.taglist import MAX_TAGS, TagList, tag_name, unnamed
from drivers.profile.profile import AnyProfile, WordOrder
from drivers.registry import driver_type
from protocols.documents import DocumentError, loads
from protocols.values import DataType

_UNKNOWN = "unknown"
_LONGEST = 60
"""Characters of a vendor's or model's name."""
_NODE = re.compile(r"nsu=(?P<uri>.+?);(?P<rest>[isgb]=.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pick:
    """One value: where it is, its browse names from the outermost, its type (None: none of a tag)."""

    address: str
    names: tuple[str, ...]
    type: DataType | None
    writable: bool = False
    detail: str = ""
    """What there is to say of the type, where it is none."""
    count: int | None = None
    """Elements, where it is an array."""
    order: WordOrder | None = None
    length: int | None = None
    name: str = ""
    """What somebody called it; else its browse names do."""


class Written(NamedTuple):
    """A profile's text, how many tags it has, and what of the picks could not become one."""

    text: str
    tags: int
    rejected: list[str]


def named(picks: Sequence[Pick]) -> dict[str, Pick]:
    """Picks by tag names: the innermost browse name, with as much of the path before it as tells them apart.

    Two of the very same path get a number.
    """
    depth = dict.fromkeys(range(len(picks)), 1)
    while True:
        names = {n: _name(pick, depth[n]) for n, pick in enumerate(picks)}
        counts = Counter(names.values())
        longer = [
            n
            for n, name in names.items()
            if counts[name] > 1 and not picks[n].name and depth[n] < len(picks[n].names)
        ]
        if not longer:
            break
        for n in longer:
            depth[n] += 1
    found: dict[str, Pick] = {}
    for n, name in names.items():
        unique, number = name, 2
        while unique in found or (unique != name and unique in counts):
            unique, number = f"{name[:120]}_{number}", number + 1
        found[unique] = picks[n]
    return found


def _name(pick: Pick, depth: int) -> str:
    if pick.name:
        return pick.name
    return tag_name("/".join(word.replace("/", "_") for word in pick.names[-depth:]), unnamed(pick.address))[
        0
    ]


def folded(addresses: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Namespaces and addresses with ``ns=1`` for the first of them, as a NodeSet has it.

    Addresses stay as they are where one has an index already, which would then mean something else.
    """
    given = list(addresses)
    if any(address.startswith("ns=") for address in given):
        return [], {address: address for address in given}
    uris: list[str] = []
    short = {}
    for address in given:
        found = _NODE.fullmatch(address)
        if found is None:
            short[address] = address
            continue
        if found["uri"] not in uris:
            uris.append(found["uri"])
        short[address] = f"ns={uris.index(found['uri']) + 1};{found['rest']}"
    return uris, short


def profile_of(
    picks: Sequence[Pick],
    protocol: str,
    identity: Identity,
    *,
    source: str,
    defaults: Mapping[str, Any] | None = None,
) -> Written:
    """The profile of picks: read once a second, nothing may be written.

    Args:
        picks: at most :data:`drivers.imports.taglist.MAX_TAGS`.
        protocol: the driver.
        identity: what the machine says it is.
        source: how they were found, for the profile and its first line.
        defaults: further top-level keys of the profile.

    Raises:
        ValueError: nothing that could be a tag was picked, or too much; says what.
    """
    kind, found = driver_type(protocol), TagList(protocol)
    wanted, rejected = [], []
    for pick in picks:
        if (reason := _unfit(pick)) is not None:
            rejected.append(f"{'/'.join(pick.names)} ({pick.address}) {reason}")
        else:
            wanted.append(pick)
    if len(wanted) > MAX_TAGS:
        raise ValueError(
            f"{len(wanted)} tags are picked, a profile holds {MAX_TAGS} — write one for each part"
        )
    uris, short = folded(pick.address for pick in wanted)
    for line, (name, pick) in enumerate(named(wanted).items(), 1):
        found.add(line, name, _tag(pick, short[pick.address]), kind.profile.tag_type())
    rejected += [f"{remark.value} {remark.why}" for remark in found.rejected]
    if not found.tags:
        tail = f": {rejected[0]}" if rejected else ""
        raise ValueError(f"no variable is picked that can be a tag{tail}")
    data: dict[str, Any] = {
        "vendor": identity.vendor.strip()[:_LONGEST] or _UNKNOWN,
        "model": identity.product.strip()[:_LONGEST] or _UNKNOWN,
        "source": source,
        "protocol": protocol,
    }
    recognised = {
        key: text
        for key, text in (("vendor", identity.vendor), ("product", identity.product))
        if text.strip() and "*" not in text
    }
    if recognised:
        data["identification"] = recognised
    if uris:
        data["opcua"] = {"namespaces": uris}
    data |= dict(defaults or {})
    text = profile_text({**data, "tags": found.tags}, _COMMENT)
    checked(text, kind.profile)
    return Written(text, len(found.tags), rejected)


_COMMENT = "From browsing the machine. Add units, roles and states; a write is allowed only where it says so."


def checked(text: str, kind: type[AnyProfile]) -> AnyProfile:
    """A profile that we made ourselves, as everybody else will read it.

    Raises:
        ValueError: it is not valid after all; says where.
    """
    try:
        return loads(text, kind, "profile")
    except DocumentError as error:
        raise ValueError(f"the profile would not be valid: {error.problems[0].text}") from None


def _unfit(pick: Pick) -> str | None:
    if pick.type is None:
        return f"has the {pick.detail or 'type of no tag'}: name a field of it by hand (field)"
    if pick.detail.startswith("array") and not pick.count:
        return "is an array without elements now"
    return None


def _tag(pick: Pick, address: str) -> dict[str, Any]:
    tag: dict[str, Any] = {"address": address, "type": str(pick.type)}
    if pick.length is not None:
        tag["length"] = pick.length
    if pick.order not in (None, WordOrder.ABCD):
        tag["word_order"] = str(pick.order)
    if pick.count:
        tag["count"] = pick.count
    if pick.writable:
        tag["access"] = "read-write"
    return {**tag, "sampling": 1}
