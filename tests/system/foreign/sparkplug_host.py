"""A Sparkplug host on pysparkplug, which needs an older paho: it runs in an environment of its own.

``sparkplug_host.py PORT GROUP HOST``: says with STATE that it is there (and by its will that it is gone), and
prints every message of the group as a line of JSON.
"""

import json
import sys
import time
from typing import Any

import pysparkplug as psp

PORT, GROUP, HOST = int(sys.argv[1]), sys.argv[2], sys.argv[3]
STARTED = int(time.time() * 1000)


def state(*, online: bool) -> Any:
    """This host's STATE."""
    topic = psp.Topic(message_type=psp.MessageType.STATE, sparkplug_host_id=HOST)
    payload = psp.State(timestamp=STARTED, online=online)
    return psp.Message(topic=topic, payload=payload, qos=psp.QoS.AT_LEAST_ONCE, retain=True)


def metric(found: Any) -> dict[str, Any]:
    """A metric as pysparkplug read it."""
    return {
        "name": found.name,
        "value": found.value,
        "type": found.datatype.name,
        "historical": bool(found.is_historical),
    }


def heard(_: Any, message: Any) -> None:
    """Print one message."""
    payload = message.payload
    metrics = list(getattr(payload, "metrics", None) or [])
    metrics += [payload.bd_seq_metric] if hasattr(payload, "bd_seq_metric") else []
    line = {
        "kind": str(message.topic.message_type.value),
        "device": message.topic.device_id or "",
        "seq": getattr(payload, "seq", None),
        "metrics": [metric(found) for found in metrics],
    }
    print(json.dumps(line), flush=True)


client = psp.Client(client_id=f"host-{HOST}")
client.set_will(state(online=False))
for kind in ("NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "DDATA"):
    device = "+" if kind.startswith("D") else None
    of = psp.Topic(group_id=GROUP, message_type=psp.MessageType(kind), edge_node_id="+", device_id=device)
    client.subscribe(of, psp.QoS.AT_MOST_ONCE, heard)
client.connect(
    "127.0.0.1", port=PORT, keepalive=5, callback=lambda connected: connected.publish(state(online=True))
)
while True:
    time.sleep(60)
