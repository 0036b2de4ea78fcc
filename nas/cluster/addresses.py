"""Which cluster is meant, and the token it asks for."""

from __future__ import annotations

import logging
import os
import shlex
import urllib.parse
from pathlib import Path
from typing import Final

from nas.cluster.http import Endpoint, check_address, head_is_gone, is_loopback
from nas.cluster.local_head import check_token, local_head, read_token, refuse_old_ray
from nas.errors import ConfigError

_ADDRESS_VARIABLES: Final = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_TOKEN: Final = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of Ray's variable
_TOKEN_PATH: Final = "RAY_AUTH_TOKEN_PATH"  # noqa: S105

_log = logging.getLogger("nas")


def find_cluster(address: str | None, token_file: Path | None) -> Endpoint:
    """Return the cluster that is meant, having found that it answers.

    Args:
        address: What the user gave; else Ray's own variables count, then the head that runs here.
        token_file: File with the token; else the local head's, Ray's variables, or its default.

    Raises:
        ConfigError: If no cluster is named and none runs here, or the address is none.
        ClusterError: If it does not answer or refuses the token.
        EnvironmentFault: If the token is none or cannot be read, or its Ray is older than 2.54.
    """
    given = check_address(address or _address())
    endpoint = Endpoint(given, _token(given, token_file), _typed(address, token_file))
    if endpoint.token and given.startswith("http://") and not is_loopback(given):
        _log.warning(
            "the token goes to %s unencrypted; use https or a tunnel: ssh -L 8265:127.0.0.1:8265 "
            "HOST, then --address http://127.0.0.1:8265",
            urllib.parse.urlsplit(given).hostname,
        )
    refuse_old_ray(endpoint.check(), given)
    return endpoint


def _typed(address: str | None, token_file: Path | None) -> str:
    """Return the options that a further command about the same cluster needs."""
    words = [] if address is None else ["--address", address]
    words += [] if token_file is None else ["--token-file", str(token_file)]
    return f" {shlex.join(words)}" if words else ""


def _address() -> str:
    for variable in _ADDRESS_VARIABLES:
        if os.environ.get(variable, "").startswith(("http://", "https://")):
            return os.environ[variable]
    head = local_head()
    if head is not None:
        return head.address
    raise ConfigError(
        "No cluster is named, and none runs here.",
        where="--address",
        fix="Give its address, as --address http://127.0.0.1:8265, once for all commands: export "
        "RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265. Or start one here: nas cluster up",
    )


def _token(address: str, token_file: Path | None) -> str | None:
    if token_file is not None:
        return read_token(token_file.expanduser())
    head = local_head()
    if head is not None and head.address == address:
        if not (head.is_alive() or head.token_file.is_file()):
            raise head_is_gone(address)
        return read_token(head.token_file)
    if os.environ.get(_TOKEN):
        return check_token(os.environ[_TOKEN].strip(), f"{_TOKEN} in the environment")
    if os.environ.get(_TOKEN_PATH):
        return read_token(Path(os.environ[_TOKEN_PATH]).expanduser())
    default = Path.home() / ".ray" / "auth_token"
    return read_token(default) if default.is_file() else None
