"""Who may look: one token per start of the server, one-time links, and sessions made from them.

A link carries a code of its own that works once and is never the token, so neither a history nor a
log holds what opens the dashboard. The browser gets a session as a cookie that scripts cannot read
and other sites cannot send. Only hashes of sessions are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from nas.errors import EnvironmentFault

SESSION_S: Final = 7 * 24 * 3600.0
"""How long a session lasts, in seconds."""

MOST_SESSIONS: Final = 64
"""Browsers that are let in at a time; the oldest leaves first."""

_BYTES: Final = 32


@final
class Keys:
    """The token, the current one-time code and the sessions of one server.

    Args:
        clock: Seconds on a clock that never goes back.

    Attributes:
        token: 256 random bits as text, for programs: `Authorization: Bearer TOKEN`.
        code: What the next one-time link carries.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(_BYTES)
        self.code = secrets.token_urlsafe(_BYTES)
        self._clock = clock
        self._sessions: dict[bytes, float] = {}

    def exchange(self, code: str) -> str | None:
        """Return a new session for the current code, which is replaced by a fresh one.

        Args:
            code: What a link carried.

        Returns:
            The session's secret, or None for a wrong code or one that was used.
        """
        if not _same(code, self.code):
            return None
        self.code = secrets.token_urlsafe(_BYTES)
        session = secrets.token_urlsafe(_BYTES)
        while len(self._sessions) >= MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[_digest(session)] = self._clock() + SESSION_S
        return session

    def is_token(self, token: str) -> bool:
        """Tell whether it is the token; takes the same time for every wrong one."""
        return _same(token, self.token)

    def is_session(self, session: str) -> bool:
        """Tell whether it is a session that has not ended; takes the same time for wrong ones."""
        digest, now, found = _digest(session), self._clock(), False
        for known, end in self._sessions.items():
            found |= hmac.compare_digest(digest, known) and now < end
        return found


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(_digest(given), _digest(right))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def token_folder() -> Path:
    """Return the user's own folder for token files; it is no part of any run."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # The standard says: a relative path there is to be ignored.
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "nas"


def write_token(token: str, port: int) -> Path:
    """Keep the token in a file that only its owner can read; return the file.

    Args:
        token: The token.
        port: Port of the server, which names the file.

    Raises:
        EnvironmentFault: If the file cannot be written.
    """
    path = token_folder() / f"dash-{port}.token"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        # Never a file that stood there before: it might be somebody's link, or readable by others.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, f"{token}\n".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise EnvironmentFault(
            f"The dashboard's token cannot be kept: {error.strerror or error}.",
            where=str(path),
            fix="Let XDG_STATE_HOME name a folder that you can write.",
        ) from error
    return path
