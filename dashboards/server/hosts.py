"""By which names the server lets itself be called: the defence against DNS rebinding.

A page of an attacker can point its own name at this machine, but its requests then carry that name.
So every request must name a host of this list; the port does not matter, since a tunnel changes it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, final

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - named here to be told apart

_HOST: Final = re.compile(
    r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?)(?::[0-9]{1,5})?"
)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def as_name(host: str) -> str:
    """Return a host as it stands in an address: IPv6 in brackets, lower case."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


@final
class Hosts:
    """The allowed values of the header `Host`.

    Args:
        listens: Address the server listens on.
        names: Further names it may be called by, such as that of a proxy.
    """

    def __init__(self, listens: str, names: Iterable[str] = ()) -> None:
        own = () if listens in ANYWHERE else (listens,)
        self._names = LOOPBACK | {as_name(name) for name in (*own, *names)}
        self._by_address = listens in ANYWHERE

    def allows(self, host: str, reached: str | None) -> bool:
        """Tell whether a request for `host` is one for this server.

        Args:
            host: The header, `name` or `name:port`.
            reached: Address of this machine that the request arrived at. Where the server listens
                on all of them it is a name as well: no attacker's name is ever a bare address.
        """
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1]
        return name in self._names or (
            self._by_address and reached is not None and name == as_name(reached)
        )
