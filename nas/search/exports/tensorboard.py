"""A run as TensorBoard's event files: one folder per run, so that runs lie over one another."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.config_files import dump_yaml
from nas.errors import EnvironmentFault
from nas.run_store import Run
from nas.search.exports.scalars import ScalarReader, summary


def import_tensorboard() -> Any:
    """Return tensorboardX.

    Raises:
        EnvironmentFault: If it is not installed.
    """
    try:
        import tensorboardX
    except ImportError as error:
        raise EnvironmentFault(
            "The export to TensorBoard needs tensorboardX, which is not installed.",
            where="--tensorboard",
            fix="pip install 'nas[tensorboard]'",
        ) from error
    return tensorboardX


def write_events(run: Run, folder: Path) -> int:
    """Write the numbers and the settings of a run into a new folder of TensorBoard.

    Args:
        run: The run.
        folder: Its folder, which does not exist yet; the one above it does.

    Returns:
        How many numbers were written.

    Raises:
        EnvironmentFault: If tensorboardX is not installed.
    """
    tensorboard = import_tensorboard()
    scalars = ScalarReader(run).news()
    created = datetime.fromisoformat(run.created).timestamp()
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as place:
        made = Path(place) / folder.name
        writer = tensorboard.SummaryWriter(str(made))
        try:
            for each in scalars:
                time = created if each.time is None else each.time
                writer.add_scalar(each.tag, each.value, each.step, walltime=time)
            writer.add_text("config", _block(dump_yaml(run.config)), walltime=created)
            facts = "\n".join(f"{name}: {text}" for name, text in summary(run).items())
            writer.add_text("run", _block(facts), walltime=created)
        finally:
            writer.close()
        for events in made.iterdir():  # the library puts the name of this machine behind it
            events.rename(made / f"events.out.tfevents.{int(created)}.nas")
        made.rename(folder)
    return len(scalars)


def _block(text: str) -> str:
    """Return text that Markdown shows as it is: no line of it can end the block."""
    return "\n".join(f"    {line}" for line in text.splitlines())
