"""Files of a trial that are made here at once: the wiring as data, text and drawings."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import networkx as nx

from nas.topology.dot_drawing import dot_text
from nas.topology.graph import Architecture
from nas.topology.serial import architecture_text
from nas.topology.svg_drawing import draw_architecture
from nas.topology.text_drawing import draw_text


@final
@dataclass(frozen=True)
class LightFormat:
    """A format that needs no torch.

    Args:
        ending: Of the file's name.
        media_type: Content type.
        write: Makes the file from a network and its title.
    """

    ending: str
    media_type: str
    write: Callable[[Architecture, str], bytes]


def _graphml(architecture: Architecture, title: str) -> bytes:
    graph = architecture.to_networkx()
    for attributes in (
        *(data for _, data in graph.nodes(data=True)),
        *(data for *_, data in graph.edges(data=True)),
    ):
        # GraphML holds no null and no objects; text holds no control characters in XML.
        for key, value in list(attributes.items()):
            if value is None:
                del attributes[key]
            elif not isinstance(value, int):
                attributes[key] = _CONTROL.sub(" ", str(value))
    written = io.BytesIO()
    nx.write_graphml_xml(graph, written)
    return written.getvalue()


_CONTROL: Final = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

LIGHT: Final[Mapping[str, LightFormat]] = {
    "json": LightFormat(
        "json", "application/json", lambda network, title: architecture_text(network).encode()
    ),
    "text": LightFormat(
        "txt",
        "text/plain; charset=utf-8",
        lambda network, title: ("\n".join(draw_text(network)) + "\n").encode(),
    ),
    "dot": LightFormat(
        "dot", "text/vnd.graphviz", lambda network, title: dot_text(network).encode()
    ),
    "graphml": LightFormat("graphml", "application/graphml+xml", _graphml),
    "svg": LightFormat(
        "svg", "image/svg+xml", lambda network, title: draw_architecture(network, title).encode()
    ),
}


def file_name(run: str, trial: int, ending: str) -> str:
    """Return a name for a download that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", run)[:80].strip("._-") or "run"
    return f"{plain}-trial-{trial}.{ending}"
