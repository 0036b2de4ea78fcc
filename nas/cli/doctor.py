"""Check this machine, or a run from end to end; repair what can be repaired."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption, find_run

if TYPE_CHECKING:
    from nas.run_store import Finding

_PACKAGES = ("torch", "optuna", "networkx", "numpy", "scikit-learn", "moocore", "safetensors")
_EXTRAS = {"ray": "--executor ray needs it: pip install 'nas[ray]'"}
_LITTLE_SPACE_GIB = 1.0


def doctor(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's name or path; without it, this machine."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair RUN; damaged bytes go to quarantine/.")
    ] = False,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Examine, print findings, exit with 2 when one of them is an error."""
    from nas.errors import ConfigError

    if run is None:
        if repair:
            raise ConfigError("--repair needs a run.", fix="Write nas doctor RUN --repair.")
        facts, findings = _machine(runs)
        name: str | None = None
        done: list[str] = []
    else:
        path = find_run(run, runs)
        name, facts = path.name, {}
        done = _repair(path) if repair else []
        findings = _examine(path)
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        _print_document(name, facts, done, findings)
    else:
        _print_text(facts, done, findings)
        talk(_verdict(name, findings))
    if errors:
        raise typer.Exit(2)


def _examine(path: Path) -> list[Finding]:
    from nas.cli.views import register_views
    from nas.run_store import examine

    register_views()
    return examine(path)


def _repair(path: Path) -> list[str]:
    from nas.cli.views import rebuild_all
    from nas.run_store import Run, repair

    done = repair(path)
    with Run.open(path, write=True) as opened:
        done += [f"Made {name} again." for name in rebuild_all(opened)]
    return done


@final
@dataclass(frozen=True)
class _Check:
    """One finding about this machine, in the form of those about a run."""

    level: str
    what: str
    where: str
    fix: str | None = None
    lost: str | None = None


def _machine(runs: Path) -> tuple[dict[str, str], list[Any]]:
    """Return facts about this machine and what is wrong with it."""
    import nas

    facts = {"nas": nas.__version__, "python": platform.python_version()}
    findings: list[Any] = []
    for package in (*_PACKAGES, *_EXTRAS):
        version = _version(package)
        facts[package] = version or "not installed"
        if version is None and package in _PACKAGES:
            findings.append(
                _Check("error", f"{package} is not installed.", package, "pip install nas")
            )
        elif version is None:
            findings.append(
                _Check("note", f"{package} is not installed.", package, _EXTRAS[package])
            )
    facts["cores"] = str(_cores())
    if facts["torch"] != "not installed":
        from nas.training.device import available_devices

        facts["devices"] = ", ".join(available_devices())
    facts["runs"], more = _folder(runs)
    return facts, [*findings, *more, *_damaged(runs)]


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _folder(runs: Path) -> tuple[str, list[_Check]]:
    """Look at the folder of runs, or at the nearest one that exists above it."""
    folder = runs.expanduser().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(existing).free / 2**30
    findings = []
    if not os.access(existing, os.W_OK):
        what = "The folder of runs cannot be written."
        findings.append(_Check("error", what, str(existing), "Choose another: --runs DIR."))
    if free < _LITTLE_SPACE_GIB:
        what = f"Only {free:.2f} GiB are free for runs."
        findings.append(_Check("warning", what, str(existing), "Free some space."))
    return f"{folder} ({free:.1f} GiB free)", findings


def _damaged(runs: Path) -> list[_Check]:
    from nas.run_store import layout, list_runs

    levels = {"damaged": "error", "newer": "note"}
    return [
        _Check(
            levels[run.state],
            f"Run '{run.name}': {run.problem}",
            str(run.path),
            f"nas doctor {layout.typed(run.path)}",
        )
        for run in list_runs(runs)
        if run.state in levels
    ]


def _print_document(
    name: str | None, facts: dict[str, str], done: list[str], findings: Sequence[Any]
) -> None:
    print_json(
        {
            "schema": "nas.doctor/1",
            "run": name,
            "ok": all(finding.level != "error" for finding in findings),
            "facts": facts,
            "repaired": done,
            "findings": [asdict(finding) for finding in findings],
        }
    )


def _print_text(facts: dict[str, str], done: Iterable[str], findings: Iterable[Any]) -> None:
    for key, value in facts.items():
        print_text(f"{key:<14}{value}")
    for sentence in done:
        print_text(f"repaired: {sentence}")
    for finding in findings:
        print_text(f"{finding.level}: {finding.what}\n  where: {finding.where}")
        if finding.fix:
            print_text(f"  fix: {finding.fix}")
        if finding.lost and finding.level != "note":
            print_text(f"  lost: {finding.lost}")


def _verdict(name: str | None, findings: Sequence[Any]) -> str:
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    subject = f"run '{name}'" if name else "this machine"
    if not errors and not warnings:
        return f"{subject}: nothing wrong"
    return f"{subject}: {errors} errors, {warnings} warnings"
