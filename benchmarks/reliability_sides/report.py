"""The report of a run of `benchmarks/reliability.py`, for people: one table per test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

HEAD: Final = """# What is lost when searches are interrupted

Made by `{command}`; the same numbers as data are in
`reliability.json`. Every side runs {trials} trials of {trial_ms} ms, one at a time, on one disk
({disk}), and is disturbed at the same fractions of its own uninterrupted time. {sides}

{limits}

{machine}

"""

SIDES: Final = (
    "This engine runs its whole search, from NSGA-II to front and views. Optuna runs the same "
    "sampler with a fixed seed and default settings, and is resumed by loading the study and "
    "running the trials that are not complete; a sampler's state is no part of its storages. Ray "
    "Tune runs random search with a seed and reused actors, and is resumed by `Tuner.restore`; its "
    "trials are compared without their order, since their ids are drawn anew."
)

LIMITS: Final = (
    "Such short trials inflate the share of time that is spent in storage, so stalls are a stress "
    "value; trials left open and ends that differ are not affected. A kill keeps what the kernel "
    "has of a file, so nothing here is said about power loss, and a limit on the size of files "
    "stands in for a full disk."
)

SEARCH: Final = {
    "side": "side",
    "tries": "tries",
    "hit": "struck while running",
    "resumed": "all trials after one resume",
    "identical": "identical end",
    "stalled": "waited for a dead lock",
    "acknowledged": "acknowledged before",
    "lost": "of these lost",
    "repeated": "of these run again",
    "open": "left running for ever",
    "doubled": "results twice",
    "seconds": "undisturbed, s",
}

TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "kills": (
        "Killed at random moments (kill -9), then resumed",
        "A search is started again in the way its documentation says. Identical: trials, their "
        "results and the front are those of the search that nobody disturbed. A search that waits "
        "for a lock longer than {patience} s, besides three times its undisturbed time, counts as "
        "stalled; the lock is then removed by hand.",
    ),
    "full": (
        "Disk full on the way, then resumed with space",
        "From a random moment on, no file may grow beyond the one that holds the trials and up to "
        "400 bytes more, so that writes come up short.",
    ),
    "torn": (
        "Log torn",
        "Cut at every byte, those of others at every few. Whole: what was there before the cut is "
        "read, and three times one trial is added and all are read again. SQLite promises nothing "
        "about a file that is cut behind its back.",
    ),
    "flipped_logs": (
        "One bit flipped in the log",
        "Silent: other values are read, or trials are missing, and nothing is said.",
    ),
    "flipped_checkpoints": (
        "One bit flipped in a checkpoint",
        "Silent: other tensors are loaded, and nothing is said.",
    ),
    "overwritten": (
        "Killed while a checkpoint is written over another",
        "A child writes one after the other without a pause, which is the worst case. Consistent: "
        "all tensors are of one and the same version.",
    ),
    "owners": (
        "A second process on one search",
        "Refused in time, and free at once when the owner is killed; or worked on by all.",
    ),
    "fuzz": (
        "Mutated files",
        "One to four random changes to a valid file, given to the reader of this engine. Taken: it "
        "still makes sense. Refused: with an error that says what is wrong.",
    ),
}


def text(document: Mapping[str, Any], *, command: str) -> str:
    """Return the report as Markdown.

    Args:
        document: What `reliability.json` holds.
        command: What makes it anew.
    """
    settings = document["settings"]
    machine = ", ".join(f"{key} {value}" for key, value in document["machine"].items())
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    head = HEAD.format(
        command=command,
        trials=settings["trials"],
        trial_ms=settings["trial_ms"],
        disk=settings["disk"],
        sides=SIDES,
        limits=LIMITS,
        machine=f"Machine: {machine}. Versions: {versions}. Made on {settings['date']}.",
    )
    parts = [_part(name, document["tests"][name], settings) for name in TITLES]
    return head + "\n".join(part for part in parts if part)


def _part(name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    title, told = TITLES[name]
    keys = list(dict.fromkeys(key for row in rows for key in row if key != "errors"))
    lines = [
        f"## {title}",
        "",
        told.format(**settings),
        "",
        _row([SEARCH.get(key, key.replace("_", " ")) for key in keys]),
        _row(["---"] * len(keys)),
        *(_row([str(row.get(key, "")) for key in keys]) for row in rows),
        "",
    ]
    said = [f"- {row['side']} said: `{each}`" for row in rows for each in row.get("errors", ())]
    return "\n".join([*lines, *said, ""] if said else lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
