"""``onelot driver import``: a tag list on the disk becomes a profile, or changes the one that it became."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.imports import profile_file
from drivers.imports.addresses import Numbering, read_table
from drivers.imports.merging import Change, Kind, merge
from drivers.imports.rows import Choices, import_table, sheets_with_tags
from drivers.imports.tables import read_csv, read_xlsx
from drivers.imports.taglist import MAX_BYTES, CannotImport, TagList
from drivers.profile.files import check_profile
from drivers.profile.profile import WordOrder
from protocols.documents import Document, DocumentError, parse, read

_SHOWN = 20
"""Lines of each kind that are shown; --json gives all."""


class Source(StrEnum):
    """Where a list comes from."""

    CSV = "csv"
    XLSX = "xlsx"
    TIA = "tia"
    KEPWARE = "kepware"
    NODESET = "nodeset"
    SUNSPEC = "sunspec"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the command line says beyond the files."""

    choices: Choices
    sheet: str
    first_register: int
    repeats: Mapping[int, int]


def _from_csv(files: Sequence[bytes], wish: _Wish) -> TagList:
    return import_table(read_csv(_one(files)), wish.choices)


def _from_kepware(files: Sequence[bytes], wish: _Wish) -> TagList:
    found = import_table(read_csv(_one(files)), wish.choices)
    if found.protocol == "modbus" and not wish.choices.word_order:
        found.about += (
            "; word order ABCD: Kepware's device settings are not in the list, say --word-order CDAB "
        )
        found.about += "where it has First Word Low"
    return found


def _from_xlsx(files: Sequence[bytes], wish: _Wish) -> TagList:
    sheets = list(sheets_with_tags(read_xlsx(_one(files), wish.sheet)))
    if len(sheets) > 1:
        raise CannotImport(f"has several sheets: {', '.join(name for name, _ in sheets)} — say --sheet NAME")
    if not sheets:
        raise CannotImport("has no sheet")
    return import_table(sheets[0][1], wish.choices)


def _from_tia(files: Sequence[bytes], wish: _Wish) -> TagList:
    from drivers.imports.tia import import_tia_tables, import_tia_xml

    data = _one(files)
    if data[:2] == b"PK":
        return import_tia_tables([table for _, table in sheets_with_tags(read_xlsx(data, wish.sheet))])
    if data.lstrip()[:1] == b"<" or data[:3] == b"\xef\xbb\xbf" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return import_tia_xml(data)
    return import_tia_tables([read_csv(data)])


def _from_nodeset(files: Sequence[bytes], wish: _Wish) -> TagList:
    from drivers.imports.nodeset import import_nodeset

    return import_nodeset(_one(files))


def _from_sunspec(files: Sequence[bytes], wish: _Wish) -> TagList:
    from drivers.imports.sunspec import import_sunspec

    texts = [file.decode("utf-8-sig", "replace") for file in files]
    return import_sunspec(texts, wish.first_register, wish.repeats)


def _one(files: Sequence[bytes]) -> bytes:
    if len(files) != 1:
        raise CannotImport("takes one file at a time; only sunspec takes several")
    return files[0]


READERS: Mapping[Source, Callable[[Sequence[bytes], _Wish], TagList]] = {
    Source.CSV: _from_csv,
    Source.XLSX: _from_xlsx,
    Source.TIA: _from_tia,
    Source.KEPWARE: _from_kepware,
    Source.NODESET: _from_nodeset,
    Source.SUNSPEC: _from_sunspec,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did, or would do."""

    profile: Path
    found: TagList
    changes: Sequence[Change]
    created: bool
    defaults_kept: Sequence[str]

    def count(self, kind: Kind) -> int:
        """Tags that something of a kind happened to."""
        return len({change.tag for change in self.changes if change.kind is kind})


def import_list(
    source: Annotated[Source, typer.Argument(help="What the file is.")],
    files: Annotated[list[Path], typer.Argument(help="The list; several files for sunspec, model 1 first.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The profile to write or change; LIST.yaml here.")
    ] = None,
    vendor: Annotated[str, typer.Option(help="Who made the machine.")] = "",
    model: Annotated[str, typer.Option(help="What the machine is called.")] = "",
    protocol: Annotated[str, typer.Option(help="modbus or opcua, where addresses do not show it.")] = "",
    base: Annotated[
        str, typer.Option(help="Meaning of plain numbers: reference (40001), 0 or 1; seen from the list.")
    ] = "",
    table: Annotated[str, typer.Option(help="Modbus table of plain numbers: holding, input, …")] = "",
    word_order: Annotated[str, typer.Option(help="ABCD, CDAB, BADC or DCBA.")] = "",
    sheet: Annotated[str, typer.Option(help="The sheet of a workbook.")] = "",
    first_register: Annotated[int, typer.Option(help="SunSpec: where SunS stands, from 0.")] = 40000,
    repeat: Annotated[
        list[str] | None, typer.Option(help="SunSpec: MODEL=N, how often a model's parts repeat, e.g. 160=2.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")] = False,
) -> None:
    """Make a profile from a tag list, and say of every line that could not be taken why.

    Importing again into the same profile follows the list and keeps what was edited by hand; the last
    import is remembered in a file beside it, which belongs into the same version control.
    """
    try:
        wish = _Wish(_choices(protocol, base, table, word_order), sheet, first_register, _repeats(repeat))
        found = READERS[source]([_bytes(file) for file in files], wish)
        command = " ".join(["onelot driver import", source, *(file.name for file in files)])
        profile = out or Path(f"{files[0].stem}.yaml")
        outcome = _apply(profile, found, files, (vendor, model, command), dry_run=dry_run)
    except CannotImport as error:
        typer.echo(f"{', '.join(map(str, files))}: {error}", err=True)
        raise typer.Exit(1) from None
    except DocumentError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename or out}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        json.dumps(_json(outcome), indent=2, ensure_ascii=False) if as_json else _text(outcome, dry_run)
    )
    if not found.tags:
        raise typer.Exit(1)


def _repeats(texts: Sequence[str] | None) -> dict[int, int]:
    found = {}
    for text in texts or ():
        model, _, times = text.partition("=")
        if not (model.isdecimal() and times.isdecimal() and 1 <= int(times) <= 100):
            raise CannotImport(f'--repeat "{text}" is not MODEL=N, N from 1 to 100, e.g. 160=2')
        found[int(model)] = int(times)
    return found


def _choices(protocol: str, base: str, table: str, word_order: str) -> Choices:
    if protocol not in ("", "modbus", "opcua"):
        raise CannotImport(f'--protocol "{protocol}" is not modbus or opcua')
    if base not in ("", *Numbering):
        raise CannotImport(f'--base "{base}" is not one of {", ".join(Numbering)}')
    if word_order not in ("", *WordOrder):
        raise CannotImport(f'--word-order "{word_order}" is not one of {", ".join(WordOrder)}')
    try:
        named = str(read_table(table)) if table else ""
    except ValueError as error:
        raise CannotImport(f'--table "{table}" {error}') from None
    return Choices(protocol, Numbering(base) if base else None, named, word_order)


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CannotImport(f"larger than {MAX_BYTES >> 20} MiB, the most that is read")
    return data


def _apply(
    profile: Path, found: TagList, files: Sequence[Path], said: tuple[str, str, str], *, dry_run: bool
) -> Outcome:
    """Work out the profile's new text, check it as a profile, and write it with its record."""
    vendor, model, command = said
    created = not profile.exists()
    kept: list[str] = []
    if created:
        changes = [Change(Kind.ADDED, name, new=tag) for name, tag in found.tags.items()]
        source = f"imported from {', '.join(file.name for file in files)}"
        data = profile_file.new_data(
            found, vendor=vendor or "unknown", model=model or files[0].stem[:60], source=source
        )
        document = Document(str(profile), data, None)
        text = profile_file.new_text(data, command) if found.tags else ""
    else:
        document = read(profile)
        record = profile_file.read_record(profile_file.record_of(profile))
        data = document.data if isinstance(document.data, dict) else {}
        if data.get("protocol") != found.protocol:
            raise CannotImport(f"is for {found.protocol}, but {profile} is for {data.get('protocol')}")
        mine = data.get("tags") if isinstance(data.get("tags"), dict) else {}
        changes = merge(mine or {}, record["tags"] if record else None, found.tags)
        fresh, kept = _defaults(data, (record or {}).get("defaults", {}), found.defaults)
        text = profile.read_text(encoding="utf-8-sig")
        if any(change.kind is not Kind.KEPT for change in changes) or fresh:
            text = profile_file.changed_text(text, changes, fresh)
            document = parse(text, str(profile))
    if found.tags:
        check_profile(document)
        if not dry_run:
            profile.parent.mkdir(parents=True, exist_ok=True)
            profile_file.write(profile, text)
            names = ", ".join(file.name for file in files)
            profile_file.write(profile_file.record_of(profile), profile_file.record_text(found, names))
    return Outcome(profile, found, changes, created, kept)


def _defaults(
    mine: Mapping[str, Any], base: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Top-level keys that the list changes, and those that are kept because a person changed them."""
    fresh, kept = {}, []
    for key, value in theirs.items():
        if mine.get(key) == value:
            continue
        if mine.get(key) in (None, base.get(key)):
            fresh[key] = value
        elif base.get(key) != value:
            kept.append(key)
    return fresh, kept


def _json(outcome: Outcome) -> dict[str, Any]:
    rows: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in Kind}
    for change in outcome.changes:
        rows[change.kind].append(
            {"tag": change.tag, "key": change.key, "old": change.old, "new": change.new}
            if change.key
            else {"tag": change.tag}
        )
    return {
        "profile": str(outcome.profile),
        "created": outcome.created,
        "protocol": outcome.found.protocol,
        "about": outcome.found.about,
        "tags": len(outcome.found.tags),
        **{str(kind): found for kind, found in rows.items()},
        "rejected": [remark._asdict() for remark in outcome.found.rejected],
        "notes": [remark._asdict() for remark in outcome.found.notes],
    }


def _text(outcome: Outcome, dry_run: bool) -> str:
    found = outcome.found
    lines = [f"{part.strip()}" for part in found.about.split(";")]
    lines += _some("not taken", [f"{found.counted} {remark}" for remark in found.rejected])
    lines += _some("taken, but", [f"{found.counted} {remark}" for remark in found.notes])
    if not outcome.created:
        lines += _some("differences", list(map(str, outcome.changes)))
    lines += [f"= {key} is kept as edited by hand" for key in outcome.defaults_kept]
    done = "would write" if dry_run else "wrote"
    if not found.tags:
        lines.append(f"no tag could be taken: {outcome.profile} is not written")
    elif outcome.created:
        lines.append(
            f"{done} {outcome.profile}: {_count(len(found.tags), 'tag')}, {len(found.rejected)} not taken"
        )
    else:
        counts = Counter({kind: outcome.count(kind) for kind in Kind})
        said = ", ".join(f"{counts[kind]} {kind}" for kind in Kind)
        lines.append(f"{done} {outcome.profile}: {said}, {len(found.rejected)} not taken")
    return "\n".join(lines)


def _some(title: str, rows: list[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - _SHOWN} more (--json shows all)"] if len(rows) > _SHOWN else []
    return [f"{title} ({len(rows)}):", *(f"  {row}" for row in rows[:_SHOWN]), *more]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
