"""Documents: every mistake is reported at once, at its place, with what would be right."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.documents import (
    MAX_BYTES,
    Document,
    DocumentError,
    Finding,
    Findings,
    load,
    loads,
    nearest,
    parse,
)


class Order(StrEnum):
    ABCD = "ABCD"
    CDAB = "CDAB"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Tag(Strict):
    address: str
    scale: float = 1.0
    word_order: Order = Order.ABCD
    bits: list[Annotated[int, Field(ge=0, le=15)]] = []


class Plant(Strict):
    name: str
    tags: dict[str, Tag] = {}
    main: str | None = None

    @model_validator(mode="after")
    def _main_exists(self) -> Plant:
        if self.main is not None and self.main not in self.tags:
            raise Findings([Finding(("main",), f'"{self.main}" is no tag')])
        return self


def problems_of(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        loads(text, Plant, "plant.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_right_document_becomes_the_model() -> None:
    plant = loads("name: hall\ntags:\n  load: {address: a, scale: 0x10, bits: [1, 2]}\n", Plant, "p")
    assert plant == Plant(name="hall", tags={"load": Tag(address="a", scale=16, bits=[1, 2])})


def test_all_mistakes_at_once_with_place_value_and_nearest_key() -> None:
    text = """\
name: hall
tags:
  load:
    address: holding:1
    scael: 0.1
    word_order: CBAD
    bits: [1, 99]
  speed:
    scale: fast
"""
    assert problems_of(text) == [
        'plant.yaml:5:5  tags.load: unknown key "scael" — did you mean scale?',
        'plant.yaml:6:17  tags.load.word_order: "CBAD" is not one of ABCD, CDAB — did you mean CDAB?',
        "plant.yaml:7:15  tags.load.bits.1: 99 must be at most 15",
        'plant.yaml:8:3  tags.speed: missing key "address"',
        'plant.yaml:9:12  tags.speed.scale: "fast" is not a number',
    ]


def test_the_text_of_the_error_has_one_aligned_line_per_problem() -> None:
    with pytest.raises(DocumentError) as caught:
        loads("name: hall\nnmae: 2\ntags: {a: {address: x, scale: y}}", Plant, "p.yaml")
    assert str(caught.value).splitlines() == [
        'p.yaml:2:1   unknown key "nmae" — did you mean name?',
        'p.yaml:3:31  tags.a.scale: "y" is not a number',
    ]


def test_an_unknown_key_far_from_any_lists_what_is_allowed() -> None:
    assert problems_of("name: x\nzzz: 1") == ['plant.yaml:2:1  unknown key "zzz" — allowed: main, name, tags']


def test_findings_of_a_validator_point_at_their_key() -> None:
    assert problems_of("name: x\nmain: press\n") == ['plant.yaml:2:7  main: "press" is no tag']


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name: [1, 2", "1:12"),
        ("name: x\n\tmain: y", "2:1"),
        ("name: a\nname: b", "2:1"),
        ("name: !!python/object:os.system x", "1:7"),
        ("? [a, b]\n: c", "1:3"),
        ("name: *nobody", "1:7"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_at_its_place(text: str, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        loads(text, Plant, "p")
    assert caught.value.problems[0].place == f"p:{where}"


def test_aliases_cannot_multiply_beyond_the_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(DocumentError, match="values after following aliases"):
        parse("\n".join(lines), "bomb")


def test_a_document_that_contains_itself_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"nested deeper|values after"):
        parse("a: &a [*a]", "loop")


def test_deep_nesting_and_large_documents_are_refused() -> None:
    with pytest.raises(DocumentError, match="nested deeper"):
        parse("[" * 60 + "]" * 60, "deep")
    with pytest.raises(DocumentError, match="larger than 1 MiB"):
        parse("#" * (MAX_BYTES + 1), "large")


def test_merge_keys_fill_in_and_mistakes_in_them_point_at_the_source() -> None:
    text = "name: x\ntags:\n  a: &base {address: one, scale: 2}\n  b: {<<: *base, address: two}\n"
    assert loads(text, Plant, "p").tags["b"] == Tag(address="two", scale=2)
    with pytest.raises(DocumentError) as caught:
        loads(text.replace("scale: 2", "scale: x"), Plant, "p")
    assert [p.place for p in caught.value.problems] == ["p:3:34", "p:3:34"]


def test_load_names_the_file_and_says_why_it_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    with pytest.raises(DocumentError, match=r"plant\.yaml:1:1  cannot be read"):
        load(file, Plant)
    file.write_bytes(b"name: ok\nmain: \xff\n")
    with pytest.raises(DocumentError, match=r"plant\.yaml:2:1  not UTF-8"):
        load(file, Plant)
    file.write_text("name: hall\n", encoding="utf-8-sig")
    assert load(file, Plant).name == "hall"


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert isinstance(parse("# nothing\n", "p"), Document)
    assert problems_of("") == ['plant.yaml:1:1  missing key "name"']


@pytest.mark.parametrize(
    ("word", "meant"), [("scael", "scale"), ("holdng", "holding"), ("zzz", None), ("SCALE", "scale")]
)
def test_nearest(word: str, meant: str | None) -> None:
    assert nearest(word, ["scale", "holding", "offset"]) == meant
