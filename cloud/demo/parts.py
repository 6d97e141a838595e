"""Which parts the demo has, in the order they start; they stop the other way round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cloud.api.accounts import FIRST_LOGIN_FILE
from cloud.demo.layout import HOST, Layout
from cloud.demo.probe import Probe
from cloud.processes import Part, broker_command, listening, onelot


def parts(layout: Layout, probe: Probe, *, speed: float, seed: int, worn: Mapping[str, float]) -> list[Part]:
    """Broker, factory, cloud, one edge agent per edge of the site, operators.

    ``worn`` gives machines that wear fast, and the hours of the factory's time in which they do.
    """

    def answering(url: str, made: Path) -> Callable[[], bool]:
        # the file shows that it is our own part that answers, not another demo's on the same port
        return lambda: made.exists() and probe.answers(url)

    def log(name: str) -> Path:
        return layout.logs / f"{name}.log"

    broker_name, broker = broker_command(layout.folder, layout.broker_port)
    factory = onelot(
        "factory",
        *("--site", str(layout.site), "--profiles", str(layout.profiles), "--speed", str(speed)),
        *("--seed", str(seed)),
        *(text for name, hours in worn.items() for text in ("--worn", f"{name}={hours:g}")),
        *("--panel", str(layout.panel_port)),
    )
    cloud = onelot("cloud", "--config", str(layout.cloud))
    operators = onelot("operators", "--panel", f"{HOST}:{layout.panel_port}", "--seed", str(seed))
    for edge in layout.edges:
        token = layout.edge_data(edge) / "api.token"
        operators += ["--edge", f"{layout.edge_api(edge)}={token}"]
    return [
        Part(broker_name, broker, log("broker"), listening(layout.broker_port)),
        Part("virtual factory", factory, log("factory"), listening(layout.panel_port)),
        Part("cloud", cloud, log("cloud"), answering(layout.page, layout.cloud_data / FIRST_LOGIN_FILE)),
        *(
            Part(
                f"edge {edge}",
                onelot("edge", "--config", str(config)),
                log(f"edge-{edge}"),
                answering(layout.edge_api(edge), layout.edge_data(edge) / "api.token"),
            )
            for edge, config in layout.edges.items()
        ),
        Part("operators", operators, log("operators")),
    ]
