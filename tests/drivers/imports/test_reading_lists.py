"""The parts of an import: encodings, separators, addresses, types, names; and files made to hurt."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.imports.addresses import Numbering, Place, no_reference, numbering_of, read_address
from drivers.imports.nodeset import import_nodeset
from drivers.imports.rows import Choices, import_table
from drivers.imports.sunspec import import_sunspec
from drivers.imports.tables import decode, read_csv, read_xlsx
from drivers.imports.taglist import CannotImport, tag_name
from drivers.imports.tia import import_tia_xml, symbol_node
from drivers.imports.type_names import read_type
from drivers.modbus.profile import Table
from protocols.values import DataType

TEXTS = ["Name,Adresse\nÖldruck,1\n", "名称,地址\n主轴转速,1\n", "Name,Address\nspeed,1\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", TEXTS)
def test_unicode_is_read_in_every_form(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


def test_old_code_pages_are_told_apart() -> None:
    assert decode(TEXTS[1].encode("gb18030")) == (TEXTS[1], "GB18030")
    german = "Bezeichnung;Adresse\nÖldruck;1\nKühlmittel fließt;2\nTür geöffnet;3\n"
    assert decode(german.encode("cp1252")) == (german, "Windows-1252")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("40001", Place(Table.HOLDING, 0)),
        ("30010", Place(Table.INPUT, 9)),
        ("10001", Place(Table.DISCRETE, 0)),
        ("00017", Place(Table.COIL, 16)),
        ("400001", Place(Table.HOLDING, 0)),
        ("465536", Place(Table.HOLDING, 65535)),
        ("4x0100", Place(Table.HOLDING, 99)),
        ("3X00001", Place(Table.INPUT, 0)),
        ("0x9C40", Place(Table.HOLDING, 40000)),
        ("9C41h", Place(Table.HOLDING, 40001)),
        ("H400FF", Place(Table.HOLDING, 254)),
        ("input:7", Place(Table.INPUT, 7)),
        ("IR12", Place(Table.INPUT, 12)),
        ("40001.15", Place(Table.HOLDING, 0, bit=15)),
        ("400100.20H", Place(Table.HOLDING, 99, length=20)),
        ("400200[10]", Place(Table.HOLDING, 199, elements=10)),
        ("40001-40004", Place(Table.HOLDING, 0, span=4)),
        ("40001 ~ 40002", Place(Table.HOLDING, 0, span=2)),
    ],
)
def test_addresses_are_read_as_lists_write_them(text: str, place: Place) -> None:
    assert read_address(text, Numbering.REFERENCE, None) == place


@pytest.mark.parametrize(
    "text", ["", "M5", "40000", "400001[4][2]", "DB1.DBD4", "%DB1.DBX0.0", "70001", "-3", "٤٠٠٠١"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_address(text, Numbering.REFERENCE, None)


def test_plain_numbers_are_references_only_when_all_can_be() -> None:
    assert numbering_of(["40001", "400002.3", "30001"]) is Numbering.REFERENCE
    assert numbering_of(["40001", "12"]) is Numbering.ZERO
    assert numbering_of(["0x10", "20h"]) is Numbering.ZERO
    assert numbering_of(["40001", "0x10", "holding:4"]) is Numbering.REFERENCE
    assert numbering_of(["40001-40002", "400100.20H", "400200[10]", "40001 至 40002"]) is Numbering.REFERENCE


def test_a_mistyped_address_does_not_move_all_the_others() -> None:
    assert numbering_of(["40001", "4oo03", "400O5"]) is Numbering.REFERENCE


def test_the_number_that_makes_references_plain_numbers_is_named() -> None:
    table = read_csv(b"name,address,type\na,40001,int\nb,40002,int\nc,4003,int\n")
    assert 'as line 4 says "4003" (else say --base)' in import_table(table, Choices()).about
    assert no_reference(["0", "1", "40001"]) is None
    assert no_reference(["40001", "40002"]) is None


@given(
    st.sampled_from(list(Table)), st.integers(0, 9998), st.sampled_from(["ref", "six", "hex", "name", "one"])
)
def test_every_place_is_found_again_in_every_notation(table: Table, offset: int, form: str) -> None:
    digit = {Table.COIL: 0, Table.DISCRETE: 1, Table.INPUT: 3, Table.HOLDING: 4}[table]
    text, numbering, default = {
        "ref": (f"{digit}{offset + 1:04}", Numbering.REFERENCE, None),
        "six": (f"{digit}{offset + 1:05}", Numbering.REFERENCE, None),
        "hex": (f"0x{offset:X}", Numbering.ZERO, table),
        "name": (f"{table}:{offset}", Numbering.ZERO, None),
        "one": (str(offset + 1), Numbering.ONE, table),
    }[form]
    assert read_address(text, numbering, default) == Place(table, offset)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Int", DataType.INT16),
        ("DINT", DataType.INT32),
        ("LReal", DataType.FLOAT64),
        ("Short", DataType.INT16),
        ("Long", DataType.INT32),
        ("DWord", DataType.UINT32),
        ("unsigned 16 bit", DataType.UINT16),
        ("16-bit signed", DataType.INT16),
        ("32 Bit Float", DataType.FLOAT32),
        ("无符号16位", DataType.UINT16),
        ("单精度浮点数", DataType.FLOAT32),
        ("Boolean", DataType.BOOL),
        ("USInt", DataType.UINT16),
        ("Byte", DataType.UINT16),
        ("WString[40]", DataType.STRING),
    ],
)
def test_types_go_by_their_vendors_names(text: str, kind: DataType) -> None:
    assert read_type(text).type is kind


def test_names_stay_readable_or_are_replaced() -> None:
    assert tag_name("Spindle Speed [rpm]", "x") == ("Spindle_Speed_rpm", False)
    assert tag_name("Channel1.Device.Tür", "x") == ("Channel1/Device/Tuer", False)
    assert tag_name("1号电机电流", "holding_3") == ("holding_3", True)
    assert tag_name("!!!", "holding_3") == ("holding_3", True)


def test_a_symbol_is_quoted_part_by_part() -> None:
    assert symbol_node('"Data block".Axis[2].x') == 'ns=1;s="Data block"."Axis"[2]."x"'
    with pytest.raises(ValueError, match="symbolic"):
        symbol_node('a."b')


# --- files made to hurt ---------------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_any_bytes_are_a_list_or_say_why_not(data: bytes) -> None:
    readers: tuple[Callable[[], object], ...] = (
        lambda: import_table(read_csv(data), Choices()),
        lambda: import_table(read_xlsx(data)[0][1], Choices()),
        lambda: import_tia_xml(data),
        lambda: import_nodeset(data),
        lambda: import_sunspec([data.decode("utf-8", "replace")]),
    )
    for reader in readers:
        with pytest.raises(CannotImport):
            reader()


CELL = st.text(max_size=12) | st.sampled_from(
    ["40001", "Int", "0x10", "1/0", "-", "Linear", "R/W", "String[0]"]
)


@given(st.lists(st.lists(CELL, min_size=6, max_size=6), max_size=8))
def test_any_cells_are_taken_or_rejected_line_by_line(rows: list[list[str]]) -> None:
    header = "Name,Address,Type,Scale,Access,Length"
    lines = [",".join('"' + cell.replace('"', '""').replace("\0", "") + '"' for cell in row) for row in rows]
    table = read_csv("\n".join([header, *lines]).encode("utf-8", "replace"))
    found = import_table(table, Choices())
    assert len(found.tags) + len({remark.line for remark in found.rejected}) == len(table.rows) - 1
    assert all(remark.why for remark in found.rejected)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.imports.tables.MAX_BYTES", 1 << 17)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (2 << 20))
    with pytest.raises(CannotImport, match="when unpacked"):
        read_xlsx(out.getvalue())


def test_a_list_has_bounds() -> None:
    with pytest.raises(CannotImport, match="more than 10000 tags"):
        import_table(
            read_csv("\n".join(["name,address,type", *(f"t{n},{n},word" for n in range(10_001))]).encode()),
            Choices(),
        )
