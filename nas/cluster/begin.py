"""The first thing a job does, on a machine where nas may be missing: see that it is there.

This file travels with every job and is run by itself, so it uses nothing but Python. Nothing of the
job but its own `order.json` decides what happens next: the command line holds only fixed words.
"""

import json
import os
import sys

ORDER = "order.json"


def main(folder: str) -> None:
    """Hand over to the nas of this machine, if it is the sender's version."""
    with open(os.path.join(folder, ORDER), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        wanted = str(json.load(file)["nas"])
    try:
        import nas
    except ImportError as error:
        _refuse(
            "nas is not installed where the job runs.",
            f"{type(error).__name__}: {error}; Python {sys.version.split()[0]} at {sys.executable}",
            f"Install nas {wanted} there, or use an image that has it.",
        )
        return
    found = str(nas.__version__)
    if found != wanted:
        _refuse(
            f"The job was sent by nas {wanted}, and nas {found} is installed where it runs.",
            "Two versions may understand a search differently.",
            f"Install nas {wanted} there, or {found} here.",
        )
    os.execv(sys.executable, [sys.executable, "-m", "nas", "arrive", folder])  # noqa: S606


def _refuse(what: str, why: str, fix: str) -> None:
    sys.stderr.write(f"error: {what}\n  why: {why}\n  fix: {fix}\n")
    sys.exit(2)


if __name__ == "__main__":
    main(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
