"""What the virtual AGV says it is (VDA 5050 2.1.0, 6.13): a carrier for half a ton."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from protocols.vda5050 import MAX_ITEMS, Factsheet, TypeSpecification


def factsheet(
    header: Mapping[str, Any], speed: float, actions: Iterable[str], instant_actions: Iterable[str]
) -> bytes:
    """The message of a vehicle that drives up to ``speed`` (m/s) and knows these actions."""
    # no blockingTypes: the schema of 2.1.0 takes none, its enum stands at the list instead of its items
    known = [
        *({"actionType": name, "actionScopes": ["NODE"]} for name in actions),
        *({"actionType": name, "actionScopes": ["INSTANT"]} for name in instant_actions),
    ]
    head = Factsheet(
        manufacturer=header["manufacturer"],
        serial_number=header["serial_number"],
        version=header["version"],
        type_specification=TypeSpecification(
            series_name="Virtual AGV",
            agv_kinematic="DIFF",
            agv_class="CARRIER",
            max_load_mass=500.0,
            localization_types=("NATURAL",),
            navigation_types=("VIRTUAL_LINE_GUIDED",),
        ),
    )
    more = {
        "headerId": header["header_id"],
        "timestamp": header["timestamp"],
        "physicalParameters": {
            "speedMin": 0.05,
            "speedMax": speed,
            "accelerationMax": 0.5,
            "decelerationMax": 0.8,
            "heightMax": 0.4,
            "width": 0.8,
            "length": 1.2,
        },
        "protocolLimits": {
            "maxStringLens": {},
            "maxArrayLens": {"order.nodes": MAX_ITEMS, "order.edges": MAX_ITEMS},
            "timing": {"minOrderInterval": 0.1, "minStateInterval": 0.1},
        },
        "protocolFeatures": {"optionalParameters": [], "agvActions": known},
        "agvGeometry": {},
        "loadSpecification": {},
    }
    return msgspec.json.encode({**msgspec.to_builtins(head), **more})
