"""Profile files: found below a folder, read with the schema of the driver that they name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from drivers.profile.profile import AnyProfile, Profile, Tag
from drivers.registry import driver_names, driver_type
from protocols.documents import Document, DocumentError, nearest, not_one_of, read

LIBRARY = Path(__file__).resolve().parents[2] / "firmware_configs" / "profiles"
"""The profiles that come with the product."""


def load_profile(path: Path) -> AnyProfile:
    """Read a profile with the schema of the driver that its ``protocol`` names.

    Raises:
        DocumentError: every mistake with file, line, column, value and what would be right.
    """
    return check_profile(read(path))


def check_profile(document: Document) -> AnyProfile:
    """A parsed document as a profile; see :func:`load_profile`."""
    known = driver_names()
    data = document.data if isinstance(document.data, dict) else {}
    protocol = data.get("protocol")
    if protocol is None:
        return document.validate(Profile[Tag])
    if protocol in known:
        try:
            kind = driver_type(protocol)
        except (ImportError, AttributeError, TypeError) as error:
            why = f"the driver {protocol} cannot be loaded — mend or remove its package ({error})"
            raise DocumentError([document.problem(("protocol",), why)]) from error
        return document.validate(kind.profile)
    problems = [document.problem(("protocol",), not_one_of(protocol, known))]
    try:
        document.validate(Profile[Tag])
    except DocumentError as error:
        problems += error.problems
    raise DocumentError(sorted(set(problems), key=lambda p: (p.line, p.col)))


def find_profiles(root: Path) -> dict[str, Path]:
    """Profiles below a folder by name: ``acme/press-40`` is ``acme/press-40.yaml``. Sorted by name."""
    return {
        path.relative_to(root).with_suffix("").as_posix(): path
        for path in sorted(root.rglob("*.yaml"))
        if path.is_file()
    }


def named_profile(name: str) -> Path:
    """The file of a profile, by its path or by its name in the product's library.

    Raises:
        LookupError: there is none; says the nearest name.
    """
    if (path := Path(name)).is_file():
        return path
    known = find_profiles(LIBRARY)
    short = name.removesuffix(".yaml")
    if short in known:
        return known[short]
    hint = nearest_profile(short, known)
    tail = f"did you mean {hint}?" if hint else "onelot driver list shows the names there are"
    raise LookupError(f'no profile file or name "{name}" — {tail}')


def nearest_profile(name: str, known: Iterable[str]) -> str | None:
    """The name that was most likely meant, be it said without its vendor."""
    last = {each.rpartition("/")[2]: each for each in known}
    hint = nearest(name, known)
    if hint is None and (part := nearest(name.rpartition("/")[2], last)) is not None:
        hint = last[part]
    return hint
