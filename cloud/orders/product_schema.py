"""The JSON Schema of product files, for editors that complete and check YAML from one.

In an editor with the YAML language server, the first line of a product file says where the schema lies::

    # yaml-language-server: $schema=onelot-product.schema.json

What only the whole file shows (a formula over a parameter that there is not, a routing in a circle) is said
when the service starts.
"""

from __future__ import annotations

import json

from cloud.orders.products import Product

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def product_schema_text() -> str:
    """The schema as a file holds it."""
    schema = {"$schema": DIALECT, **Product.model_json_schema(), "title": "OneLot product"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
