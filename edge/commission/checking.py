"""``onelot driver check``: every mistake in files at once, and a machine against its profile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.commission.acceptance import Acceptance, as_data, judged
from edge.commission.asking import AsJson, OptionList, columns, fail, find_profile, print_json
from edge.commission.file_check import Checked, check_files, is_edge
from edge.commission.live_check import observe
from edge.commission.running import finished
from edge.commission.sheet import sheet
from edge.commission.targets import Target, device_of, machine_at
from edge.watching import content_hash
from protocols.documents import DocumentError
from protocols.values import Quality

_MARKS = {Quality.GOOD: "● good", Quality.UNCERTAIN: "◐ uncertain", Quality.BAD: "✕ bad"}


def check(
    files: Annotated[
        list[str], typer.Argument(help="Profiles (file or name), edge.yaml, site.yaml, or folders of them.")
    ],
    live: Annotated[
        str | None,
        typer.Option(help="Also ask the machine: its address, or with edge.yaml the id of a device."),
    ] = None,
    option: OptionList = None,
    seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="With --live: watch so long how often values come.")
    ] = 0,
    report: Annotated[
        Path | None, typer.Option(help="With --live: write an acceptance sheet to print and sign (HTML).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check files: every mistake at once, with its place and what would be right.

    With --live also the machine: what it is, every tag once. Exit code 1 when a file has a mistake, a tag is
    bad, or the machine is another one than the profile was made for.
    """
    if live is None and (option or seconds or report):
        raise fail("--option, --seconds and --report are for a machine — add --live URL")
    if live is not None and len(files) != 1:
        raise fail(f"--live asks one machine: give one file, not {len(files)}")
    if report is not None and not report.absolute().parent.is_dir():
        raise fail(f"--report {report}: there is no folder {report.absolute().parent}")
    paths = [path for name in files for path in _paths(name)]
    if not paths:
        raise fail(f"no file named *.yaml below {', '.join(files)}")
    checked = check_files(paths)
    said = _static(checked)
    if not as_json:
        _tell(checked)
    if checked.problems or live is None:
        if as_json:
            print_json(said)
        raise typer.Exit(1 if checked.problems else 0)
    target = _target(paths, files, live, option)
    acceptance = _asked(target, seconds)
    if report is not None:
        _write(
            report,
            sheet(target, acceptance, datetime.now(UTC), content_hash(target.profile_file.read_bytes())),
        )
    if as_json:
        print_json({**said, "machine": target.machine, "address": target.address, **as_data(acceptance)})
    else:
        typer.echo("\n".join(lines(target, acceptance)))
        if report is not None:
            typer.echo(f"acceptance sheet: {report}")
    if not acceptance.passed:
        raise typer.Exit(1)


def _paths(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(path.rglob("*.yaml"))
    if path.exists() or path.suffix:
        return [path]
    return [find_profile(name)]


def _static(checked: Checked) -> dict[str, Any]:
    problems = [
        {"file": p.file, "line": p.line, "col": p.col, "path": p.path, "message": p.message}
        for p in checked.problems
    ]
    return {
        "problems": problems,
        "files": checked.files,
        "tags": sum(checked.tags.values()),
        "notes": checked.notes,
    }


def _tell(checked: Checked) -> None:
    if checked.problems:
        typer.echo(str(DocumentError(list(checked.problems))))
    for note in checked.notes:
        typer.echo(note, err=True)
    tags = sum(checked.tags.values())
    typer.echo(f"{count(len(checked.problems), 'error')}, {count(tags, 'tag')} checked")


def _target(paths: list[Path], names: list[str], live: str, option: list[str] | None) -> Target:
    if len(paths) != 1:
        raise fail(f"--live asks one machine: {names[0]} holds {len(paths)} files — give the profile's")
    (path,) = paths
    if not is_edge(path):
        if "://" not in live:
            raise fail(f'--live "{live}" is no address — write e.g. modbus://10.0.4.7:502?unit=1')
        return machine_at(live, str(path), option)
    if "://" in live:
        raise fail(
            f"{path} holds the addresses of its devices — give --live the id of one, or a profile's file"
        )
    return device_of(path, live, option)


def _asked(target: Target, seconds: float) -> Acceptance:
    def say(text: str) -> None:
        typer.echo(f"{target.address}: {text} …", err=True)

    return judged(target.profile, finished(observe(target.make, seconds, say)))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise fail(f"--report {path}: {error.strerror or error}") from None


def lines(target: Target, acceptance: Acceptance) -> Iterator[str]:
    """A check as a terminal shows it."""
    said = acceptance.identity
    yield f"{target.machine} at {target.address}"
    yield "  says  " + (" · ".join(f"{name} {text}" for name, text in said.items()) or "nothing of itself")
    rows = [
        (
            f"  {result.name}",
            result.value,
            _MARKS[result.quality],
            result.came,
            "; ".join(result.deviations) or result.word,
        )
        for result in acceptance.results
    ]
    yield columns(rows)
    for of, text in acceptance.deviations:
        if of == "machine":
            yield f"  ▲ {text}"
    for number, text in enumerate(acceptance.not_tested):
        yield f"{'' if number else 'not tested':<12}{text}"
    verdict = "● passed" if acceptance.passed else "✕ not passed"
    tags = f"{acceptance.bad} of {count(len(acceptance.results), 'tag')} bad"
    yield f"{verdict}: {tags}, {count(len(acceptance.deviations), 'deviation')}"


def count(number: int, word: str) -> str:
    """``1 tag``, ``2 tags``."""
    return f"{number} {word}" + ("" if number == 1 else "s")
