"""The address of a Ray head, told from that of its job server and of its client's port.

A cluster has three addresses, and Ray's own tools take one or another under the same name. Workers
are reached through the head alone, so the other two are refused with what each of them is for.
"""

from __future__ import annotations

import re
import shlex
import urllib.parse
from typing import Final

from nas.errors import ConfigError

_HEAD: Final = re.compile(r"[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5}")
_PORT: Final = 6379
"""Of a head, unless `ray start` was given another."""


def check_head_address(address: str, where: str | None = None) -> str:
    """Return an address of the form `host:port`.

    Args:
        address: What the user gave.
        where: Place of it.

    Raises:
        ConfigError: If it is of something else; the message says of what, and which is wanted.
    """
    if _HEAD.fullmatch(address):
        return address
    scheme, mark, _ = address.partition("://")
    host = _host(address) if mark else ""
    head = f"{host or '10.0.0.5'}:{_PORT}"
    wanted = (
        f"the head's own address, such as {head}: `ray start --head` printed it, with the port "
        f"{_PORT} unless another was given, and this machine has to be a node of the cluster"
    )
    if scheme in ("http", "https") and mark:
        raise ConfigError(
            f"{address!r} is the address of a job server and dashboard, not of a Ray head.",
            where=where,
            why="Workers are put on a cluster through its head; a job server takes whole searches.",
            fix="Send the whole search there, as to what `nas cluster status` names: nas submit "
            f"SOURCE --address {shlex.quote(address)}. Or give {wanted}.",
        )
    if scheme == "ray" and mark:
        raise ConfigError(
            f"{address!r} is an address for Ray's client, not of a Ray head.",
            where=where,
            why="Ray's client carries no workers of a search.",
            fix=f"Give {wanted}. From any other machine: nas submit SOURCE --address http://"
            f"{host or 'HOST'}:8265",
        )
    raise ConfigError(
        f"{address!r} is no address of a Ray head, which is written host:port.",
        where=where,
        fix=f"Give {wanted}. To a job server, http://..., a search is sent with `nas submit`.",
    )


def _host(address: str) -> str:
    """Return the host of a URL, empty where it has none that could be typed."""
    try:
        host = urllib.parse.urlsplit(address).hostname or ""
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return host if _HEAD.fullmatch(f"{host}:1") else ""
