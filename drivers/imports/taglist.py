"""What an importer makes of a list: tags as a profile writes them, and every line it could not take."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from drivers.profile.profile import Tag
from protocols.documents import Document, DocumentError

MAX_BYTES = 32 << 20
"""The largest list that is read: 32 MiB."""

MAX_TAGS = 10_000
"""The most tags that are taken from one list; a profile of more would be no machine."""


class CannotImport(ValueError):
    """A list that cannot be used at all; says what was found and what is wanted."""


class Remark(NamedTuple):
    """One line of a list: its number, the value in question, and what is to be said of it."""

    line: int
    value: str
    why: str

    def __str__(self) -> str:
        return f'{self.line}: "{self.value}" {self.why}' if self.value else f"{self.line}: {self.why}"


@dataclass(slots=True)
class TagList:
    """The outcome of an import. ``defaults`` are further top-level keys of the profile."""

    protocol: str
    about: str = ""
    """How the list was read: encoding, separator, which columns."""
    counted: str = "line"
    """What the number of a remark counts: lines, rows of a sheet, nodes of an XML file."""
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    rejected: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    """Taken, but not exactly as it stands in the list."""
    _lines: dict[str, int] = field(default_factory=dict)

    def add(self, line: int, name: str, tag: Mapping[str, Any], model: type[Tag]) -> None:
        """Take a tag, or reject its line with every reason the profile's schema has against it."""
        if name in self._lines:
            self.rejected.append(
                Remark(line, name, f"is the name of {self.counted} {self._lines[name]} already")
            )
            return
        if len(self.tags) >= MAX_TAGS:
            raise CannotImport(f"more than {MAX_TAGS} tags — split the list by machine")
        kept = {key: value for key, value in tag.items() if value not in (None, "")}
        document = Document(name, kept, None)
        problems = [document.problem(f.location, f.message) for f in model.combinations(kept)]
        try:
            document.validate(model)
        except DocumentError as error:
            problems += error.problems
        if problems:
            self.rejected += [Remark(line, name, text) for text in dict.fromkeys(p.text for p in problems)]
            return
        self._lines[name] = line
        self.tags[name] = kept


_SPELLED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe", "Ø": "Oe"}
    | {"æ": "ae", "Æ": "Ae", "µ": "u", "μ": "u", "Ω": "Ohm"}
)


def tag_name(text: str, otherwise: str) -> tuple[str, bool]:
    """A name as a profile takes it, and whether the original can no longer be read in it.

    Accents go, what is no letter or digit becomes ``_``. A name with letters that have no ASCII form
    (Chinese, Cyrillic) would lose its meaning: then ``otherwise``, made from the address, is the name.
    """
    spelled = unicodedata.normalize("NFC", text).translate(_SPELLED)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(c))
    lost = any(c.isalpha() and not c.isascii() for c in plain)
    words = [re.sub(r"[^A-Za-z0-9]+", "_", word).strip("_") for word in re.split(r"[./]+|\s-\s", plain)]
    name = "/".join(word for word in words if word)[:128].rstrip("/_")
    return (otherwise, True) if lost or not name else (name, False)


def unnamed(address: str) -> str:
    """The name of a tag that has none of its own, from its address: ``holding:100`` → ``holding_100``."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", address).strip("_")
    readable = address.isascii() and 0 < len(plain) <= 40
    return plain if readable else f"tag_{zlib.crc32(address.encode()):08x}"


def shown(text: str, limit: int = 60) -> str:
    """A value of a list as a message shows it."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
