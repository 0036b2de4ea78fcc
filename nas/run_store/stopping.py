"""How anybody asks the owner of a run to stop: by a file that it looks for."""

from __future__ import annotations

from pathlib import Path

from nas.errors import RunError
from nas.run_store import layout
from nas.run_store.atomic import write_text
from nas.run_store.creation import now
from nas.run_store.lock import Owner, owner_of


def request_stop(path: Path | str) -> Owner:
    """Ask the owner of the run to stop soon; return who that is.

    Raises:
        NotFoundError: If the run does not exist.
        RunError: If it is not a run, or nobody is running it.
    """
    path = Path(path).expanduser().absolute()
    layout.require_run(path)
    owner = owner_of(path / layout.LOCK)
    if owner is None:
        raise RunError(
            f"Run '{path.name}' is not running, so there is nothing to stop.",
            where=str(path),
            fix=f"See its state with `nas runs show {layout.typed(path)}`.",
        )
    write_text(path / layout.STOP, now() + "\n")
    return owner
