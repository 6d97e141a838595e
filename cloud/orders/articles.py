"""Product files in the database: imported by content hash, one version of each product current."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from cloud.orders.products import Product, RoutingStep
from cloud.orders.tables import product as table
from protocols.documents import DocumentError, Finding, Location, load, not_one_of, read
from protocols.site import Site


def content_hash(product: Product) -> str:
    """32 hex digits that change whenever the meaning of the file does (not its comments or layout)."""
    return hashlib.blake2b(product.model_dump_json().encode(), digest_size=16).hexdigest()


def load_products(site_file: Path, site: Site) -> list[Product]:
    """The product files that a site names, checked against what the site has.

    Raises:
        DocumentError: every mistake of every file with its place.
    """
    kinds = site.kinds()
    products: list[Product] = []
    problems = []
    for name in site.products:
        path = site_file.parent / name
        try:
            product = load(path, Product)
        except DocumentError as error:
            problems += error.problems
            continue
        document = read(path)
        problems += [document.problem(f.location, f.message) for f in _site_findings(product, site, kinds)]
        if any(product.id == other.id for other in products):
            problems.append(
                document.problem(("id",), f'"{product.id}" is the id of another product file too')
            )
        products.append(product)
    if problems:
        raise DocumentError(problems)
    return products


def _site_findings(product: Product, site: Site, kinds: Sequence[str]) -> Iterator[Finding]:
    shared = site.shared()
    for index, step in enumerate(product.operations):
        at: Location = ("operations", index)
        if step.kind not in kinds:
            yield Finding((*at, "kind"), "no workcell is of this kind: " + not_one_of(step.kind, kinds))
        for name, number in step.needs.items():
            if name not in shared:
                known = not_one_of(name, shared) if shared else "the site has neither crew nor tools"
                yield Finding((*at, "needs", name), f"the site does not know it: {known}")
            elif number > shared[name]:
                message = f"{number} are needed, and the site never has more than {shared[name]}"
                yield Finding((*at, "needs", name), message)
        yield from _way_findings(product, site, at, step)


def _way_findings(product: Product, site: Site, at: Location, step: RoutingStep) -> Iterator[Finding]:
    """A step cannot follow sooner than an AGV gets there."""
    if step.wait is None or step.wait.at_most is None:
        return
    of_kind = {kind: [c.id for c in site.workcells().values() if c.kind == kind] for kind in site.kinds()}
    kinds = {other.id: other.kind for other in product.operations}
    for name in step.wait.after or step.after:
        ways = [
            site.transport.between(origin, destination)
            for origin in of_kind.get(kinds.get(name, ""), ())
            for destination in of_kind.get(step.kind, ())
        ]
        if ways and min(ways) > step.wait.at_most:
            message = f'{step.wait.at_most} s, and the shortest way from "{name}" takes {min(ways)}'
            yield Finding((*at, "wait", "at_most"), message)


def import_products(tx: Connection, products: Sequence[Product], now: int) -> list[str]:
    """Make these versions the current ones; returns the ids of products that are new or changed.

    Products that are no longer named stay in the database for the orders that have them, but cannot be
    ordered any more.
    """
    stored = {row.hash: row for row in tx.execute(select(table.c.hash, table.c.id, table.c.current))}
    changed: list[str] = []
    tx.execute(update(table).values(current=False))
    for product in products:
        key = content_hash(product)
        if key not in stored:
            row = {
                "hash": key,
                "id": product.id,
                "title": product.title,
                "title_zh": product.title_zh or product.title,
                "document": product.model_dump_json(),
                "imported": now,
                "current": True,
            }
            tx.execute(insert(table).values(row))
        else:
            tx.execute(update(table).where(table.c.hash == key).values(current=True))
        if key not in stored or not stored[key].current:
            changed.append(product.id)
    return changed


def current(tx: Connection) -> Mapping[str, tuple[str, Product]]:
    """Content hash and product by id, of everything that can be ordered now."""
    rows = tx.execute(select(table.c.id, table.c.hash, table.c.document).where(table.c.current))
    return {row.id: (row.hash, Product.model_validate_json(row.document)) for row in rows}


def version(tx: Connection, key: str) -> Product | None:
    """The product of a content hash, current or not."""
    document = tx.execute(select(table.c.document).where(table.c.hash == key)).scalar_one_or_none()
    return None if document is None else Product.model_validate_json(document)
