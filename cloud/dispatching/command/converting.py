"""``onelot dispatch convert`` and ``schema``: problems in other formats, and what their JSON may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.dispatching.command.asking import FormatOption, ProblemPath, problem_at
from cloud.dispatching.files.documents import KINDS, schema_text
from cloud.dispatching.files.formats import Format, problem_written
from cloud.dispatching.files.naming import NotExpressible
from cloud.printing import fail, write_file
from protocols.documents import not_one_of

Out = Annotated[Path | None, typer.Option(help="File to write; printed when left out.")]


def convert(
    file: ProblemPath,
    to: Annotated[Format, typer.Option(help="The format to write.")] = Format.JSON,
    format_: FormatOption = None,
    out: Out = None,
) -> None:
    """Write a problem in another format. What a text format cannot say is listed, and nothing is written."""
    read = problem_at(file, format_)
    try:
        text = problem_written(read.problem, to, read.name)
    except NotExpressible as error:
        raise fail(f"{file}: {error}") from None
    _give(text, out)


PRODUCT = "product"
"""The files of what can be ordered: YAML beside the site file."""


def write_schema(
    kind: Annotated[str, typer.Argument(help="problem, plan, order, scenario or product")] = "problem",
    out: Out = None,
) -> None:
    """Write the JSON Schema of a kind of file, by which an editor completes and checks them."""
    if kind == PRODUCT:
        from cloud.orders.product_schema import product_schema_text

        _give(product_schema_text(), out)
        return
    if kind not in KINDS:
        raise fail(not_one_of(kind, (*KINDS, PRODUCT)))
    _give(schema_text(kind), out)


def _give(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_file(out, text)
        typer.echo(f"wrote {out}")
