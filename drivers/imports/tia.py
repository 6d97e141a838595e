"""TIA Portal's exports to tags on the OPC UA server of an S7-1200 or S7-1500. Pure.

Read are the PLC tag table as a workbook or XML, the HMI tag table as a workbook, and the XML of TIA
Openness. The server shows a tag under its symbolic name, in quotes and part by part
(``"Drive"."Speed"``), in the namespace of :data:`NAMESPACE`; absolute addresses such as %DB1.DBD4 exist
only inside the PLC. Source: SIMATIC Communication function manual, A5E03735815-AJ (05/2021), 9.1.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from drivers.imports.columns import Column
from drivers.imports.rows import header_of
from drivers.imports.tables import Table
from drivers.imports.taglist import CannotImport, Remark, TagList, shown, tag_name, unnamed
from drivers.imports.type_names import read_type
from drivers.imports.xml import children, local, parse
from drivers.opcua.profile import OpcuaTag

NAMESPACE = "http://www.siemens.com/simatic-s7-opcua"

_PART = re.compile(r'\s*(?:"([^"]+)"|([^".\[\]]+))((?:\[[\d,\s]+\])*)\s*(?:\.|$)')

Cells = Mapping[Column, str]


def symbol_node(symbol: str) -> str:
    """``Drive.Axes[2].Speed`` as the server names it: ``ns=1;s="Drive"."Axes"[2]."Speed"``.

    Raises:
        ValueError: not a symbolic name.
    """
    parts, position = [], 0
    while position < len(symbol):
        found = _PART.match(symbol, position)
        if found is None or found.end() == position:
            raise ValueError('is no symbolic name — e.g. Drive.Speed or "Data block 1".Speed')
        parts.append(f'"{(found[1] or found[2]).strip()}"{found[3].replace(" ", "")}')
        position = found.end()
    if not parts:
        raise ValueError("is no symbolic name")
    return "ns=1;s=" + ".".join(parts)


def import_tia_tables(tables: list[Table]) -> TagList:
    """The sheets of an export.

    Raises:
        CannotImport: none of them has the headings of a PLC or HMI tag table.
    """
    rows: list[tuple[int, Cells]] = []
    about = []
    for table in tables:
        position, columns = header_of(table)
        about.append(table.about)
        for row in table.rows[position + 1 :]:
            cells = {column: row.cells[n] if n < len(row.cells) else "" for n, column in columns.items()}
            rows.append((row.number, cells))
    return _import(rows, ", ".join(about), tables[0].counted)


def import_tia_xml(data: bytes) -> TagList:
    """A tag table as TIA writes it (``Tagtable``) or as TIA Openness does (``SW.Tags.PlcTagTable``).

    Raises:
        CannotImport: not XML, or neither of the two.
    """
    root = parse(data)
    tags = [e for e in root.iter() if local(e) in ("Tag", "SW.Tags.PlcTag")]
    if not tags:
        raise CannotImport(f"has no PLC tags: its root is <{local(root)}>, wanted <Tagtable> or TIA Openness")
    return _import(list(enumerate(map(_xml_cells, tags), 1)), "TIA XML", "tag")


def _xml_cells(tag: Element) -> Cells:
    if local(tag) == "Tag":
        return {
            Column.NAME: (tag.text or "").strip() or tag.get("name", ""),
            Column.TYPE: tag.get("type", ""),
            Column.ADDRESS: tag.get("addr", ""),
            Column.DESCRIPTION: tag.get("remark", ""),
            Column.WRITEABLE: tag.get("hmiWriteable", ""),
            Column.ACCESSIBLE: tag.get("hmiAccessible", ""),
        }
    said = {local(e): (e.text or "").strip() for a in children(tag, "AttributeList") for e in a}
    return {
        Column.NAME: said.get("Name", ""),
        Column.TYPE: said.get("DataTypeName", "").strip('"'),
        Column.ADDRESS: said.get("LogicalAddress", ""),
        Column.DESCRIPTION: " ".join(_comment(tag)),
        Column.WRITEABLE: said.get("ExternalWritable", ""),
        Column.ACCESSIBLE: said.get("ExternalAccessible", ""),
    }


def _comment(tag: Element) -> Iterator[str]:
    for item in tag.iter():
        if local(item) == "Text" and item.text and item.text.strip():
            yield item.text.strip()
            return


def _import(rows: list[tuple[int, Cells]], about: str, counted: str) -> TagList:
    found = TagList("opcua", f"{about}; nodes by symbolic name", counted=counted)
    found.defaults["opcua"] = {"namespaces": [NAMESPACE]}
    for line, cells in rows:
        try:
            _take(found, line, cells)
        except ValueError as error:
            value = error.args[1] if len(error.args) > 1 else cells.get(Column.NAME, "")
            found.rejected.append(Remark(line, shown(value), str(error.args[0])))
    return found


def _take(found: TagList, line: int, cells: Cells) -> None:
    name = cells.get(Column.NAME, "")
    symbol = cells.get(Column.PLC_TAG, name)
    if not symbol or symbol.startswith("<"):
        where = cells.get(Column.ADDRESS, "")
        raise ValueError(
            "has no symbol on the OPC UA server, only an absolute address: name the PLC tag", where
        )
    if cells.get(Column.ACCESSIBLE, "").casefold() == "false":
        raise ValueError("is not accessible from HMI/OPC UA — tick that in TIA Portal")
    if cells.get(Column.TYPE, "").startswith('"'):
        raise ValueError(
            "is a PLC data type of its own: list the members that are wanted", cells[Column.TYPE]
        )
    try:
        kind = read_type(cells.get(Column.TYPE, ""))
    except ValueError as error:
        raise ValueError(str(error), cells.get(Column.TYPE, "")) from None
    if kind.assumed:
        found.notes.append(Remark(line, cells[Column.TYPE], kind.assumed))
    tag: dict[str, Any] = {"address": symbol_node(symbol), "type": str(kind.type), "length": kind.length}
    writable = cells.get(Column.WRITEABLE, "").casefold() == "true"
    tag["access"] = "read-write" if writable else None
    text = cells.get(Column.DESCRIPTION, "")
    named, renamed = tag_name(name.replace('"', ""), unnamed(tag["address"]))
    if renamed:
        found.notes.append(Remark(line, shown(name), f"is named {named}: tag names are ASCII"))
        text = " — ".join(t for t in (name, text) if t)
    absolute = cells.get(Column.ADDRESS, "")
    tag["description"] = " ".join(t for t in (text, f"({absolute})" if absolute.startswith("%") else "") if t)
    found.add(line, named, tag, OpcuaTag)
