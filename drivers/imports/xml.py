"""XML of strangers, read with defusedxml: no entities, no external files, a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from drivers.imports.taglist import MAX_BYTES, CannotImport


def parse(data: bytes) -> Element:
    """The root element.

    Raises:
        CannotImport: too large, not XML, or XML with entities of its own.
    """
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    if len(data) > MAX_BYTES:
        raise CannotImport(f"larger than {MAX_BYTES >> 20} MiB, the most that is read")
    try:
        root: Element = ElementTree.fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise CannotImport("declares a DTD or entities of its own, which no tag list needs") from None
    except (ParseError, ValueError, LookupError) as error:
        raise CannotImport(f"is not XML: {error}") from None
    return root


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """The direct children of a name, in whatever namespace."""
    return (child for child in element if local(child) == name)
