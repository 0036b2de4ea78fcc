"""How far supernets of `wired_cnn` on CIFAR-10 can be trusted, configuration by configuration.

Three stages work on one folder, each goes on where it was left:

    truth      trains 125 members alone with two seeds, 25 of each of five families, a line of
               FOLDER/truth.jsonl per training; `--part 0 --of 2` does every second one
    supernet   trains the supernets named in CONFIGURATIONS, each a run in FOLDER/runs, all but the
               `length` ones at about the same number of passes over the weights' part
    report     scores the members with every trained supernet and judges each by the same truths;
               prints a table and, with --record, writes benchmarks/results/trust_wired_cnn.json

    python benchmarks/trust_study.py truth FOLDER --data cifar10.npz
    python benchmarks/trust_study.py supernet FOLDER --data cifar10.npz [--only uniform role ...]
    python benchmarks/trust_study.py report FOLDER --data cifar10.npz --record

Images are scaled to 16x16 and 6,000 are used for training, so that two CPU cores can bear it; seed
0 decides members, split and trainings. Another truth.jsonl of the same data can be put into FOLDER.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import harness

from nas.run_store import Run
from nas.search.driver import environment
from nas.search.interrupts import Stopper
from nas.search.material import Material, prepare_material
from nas.search.ranking.stage import TRUTH, ZERO_COST_SCORES, RankSettings, rank
from nas.search.session import Session, Stopped
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_config, resolve_space
from nas.search.training.learning import train_supernet
from nas.space import Decisions, load_space
from nas.supernet.trust.rank import RankReport
from nas.supernet.trust.rank_table import rank_table
from nas.supernet.trust.truth import stratified_members, train_alone
from nas.training.device import resolve_device
from nas.training.recipe import Recipe

SPACE = "wired_cnn"
SEED = 0
SEEDS = 2
MEMBERS = 125
FAMILIES = ("residual", "dense", "fractal", "hierarchical", "mixed")
RECIPE = Recipe(
    epochs=8, batch_size=64, learning_rate=0.1, gradient_clip=1.0, augmentation="flip_crop"
)
DATA = {"image_size": 16, "max_train_images": 6000}

EPOCHS = 60
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "uniform": (),
    "role": ("supernet.sharing=role",),
    "family": ("supernet.sharing=family",),
    "auto": ("supernet.sharing=auto",),
    "norms-by-family": ("supernet.sharing={weights: position, norms: family}",),
    "fair": ("supernet.training.sampler=fair",),
    "batch-split": ("supernet.training.sampler={name: batch_split, members: 4}",),
    # Four members per step and about two where forward passes choose: fewer epochs, equal cost.
    "sandwich": ("supernet.training.sampler=sandwich", f"supernet.training.epochs={EPOCHS // 4}"),
    "attentive": ("supernet.training.sampler=attentive", f"supernet.training.epochs={EPOCHS // 2}"),
    "shrinking": ("supernet.training.sampler=shrinking",),
    "length-20": ("supernet.training.epochs=20",),
    "length-180": ("supernet.training.epochs=180",),
}
"""Overrides of the config by name; what is not written is uniform paths, shared by position."""


def study_config(data: str, *overrides: str) -> SearchConfig:
    document = {
        "space": SPACE,
        "data": data,
        "seed": SEED,
        **DATA,
        "objectives": ["cross_entropy", "macs"],
        "device": "cpu",
        "confirm": {"enabled": False},
        "supernet": {
            "relaxation": {"enabled": False},
            "training": {"epochs": EPOCHS, "augmentation": "flip_crop"},
        },
    }
    return resolve_config(document, overrides=overrides)


def members() -> dict[str, Decisions]:
    return stratified_members(load_space(SPACE), MEMBERS, SEED, FAMILIES)


def truth_lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "truth.jsonl"
    found = []
    for line in filter(None, path.read_text().splitlines() if path.exists() else ()):
        with suppress(json.JSONDecodeError):  # cut short by a kill: it is trained again
            found.append(json.loads(line))
    return found


def truth(folder: Path, options: argparse.Namespace) -> None:
    """Train the members of this part that are not done, all with one seed before the next."""
    material = prepare_material(study_config(options.data))
    remember(folder, material)
    space, chosen = load_space(SPACE), members()
    share = MEMBERS // len(FAMILIES)
    order = [name for place in range(share) for name in list(chosen)[place::share]]
    jobs = [(name, index) for index in range(SEEDS) for name in order]
    for number, (name, index) in enumerate(jobs[: options.limit]):
        done = {(line["member"], line["index"]) for line in truth_lines(folder)}
        if number % options.of != options.part or (name, index) in done:
            continue
        started = time.perf_counter()
        found = train_alone(space, chosen[name], material.parts, RECIPE, seed=SEED, index=index)
        line = {
            "member": name,
            "index": index,
            "family": space.family(chosen[name]),
            "decisions": chosen[name],
            "ce": found.cross_entropy,
            "error": found.error,
            "seconds": time.perf_counter() - started,
        }
        with (folder / "truth.jsonl").open("a") as stream:
            stream.write("\n" + json.dumps(line) + "\n")  # after whatever a kill left
        print(f"{number + 1}/{len(jobs)} {line['family']}: {found.cross_entropy:.4f} nats")


def remember(folder: Path, material: Material) -> None:
    """Keep what the folder's truths belong to, and refuse others."""
    facts = {
        "data": material.data.fingerprint,
        "images": len(material.parts.weights),
        "recipe": RECIPE.recipe_hash,
        "seed": SEED,
    }
    path = folder / "study.json"
    if not path.exists():
        path.write_text(json.dumps(facts))
    known = json.loads(path.read_text())
    if known != facts:
        raise SystemExit(f"error: {folder} belongs to other data or another recipe: {known}")


@contextmanager
def opened(folder: Path, name: str, data: str) -> Iterator[Session]:
    """Open the run of a configuration as its owner; create it where there is none."""
    config = study_config(data, *CONFIGURATIONS[name])
    material = prepare_material(config)
    remember(folder, material)
    path = folder / "runs" / name
    if path.exists():
        run = Run.open(path, write=True)
    else:
        facts = environment(config, material, "cpu")
        run = Run.create(folder / "runs", name, config.to_dict(), facts)
    with run:
        stopper = Stopper(run.stop_requested)
        session = Session(
            run=run,
            config=config,
            space=resolve_space(config),
            goals=Goals.of(config),
            material=material,
            device=resolve_device("cpu"),
            stopper=stopper,
            executor_kind="local",
        )
        with stopper.listening():
            try:
                yield session
            finally:
                session.close()


def supernet(folder: Path, options: argparse.Namespace) -> None:
    """Train the supernets that are not trained; what was interrupted goes on."""
    for name in options.only or CONFIGURATIONS:
        with opened(folder, name, options.data) as session:
            stage = session.run.table().stages.get("supernet")
            if stage is not None and stage.state == "finished":
                print(f"{name}: trained before")
                continue
            started = time.perf_counter()
            try:
                train_supernet(session)
            except Stopped:
                raise SystemExit(f"{name}: stopped; the same command goes on") from None
            seconds = time.perf_counter() - started
            session.run.append({"kind": "study_seconds", "seconds": round(seconds, 1)})
            print(f"{name}: trained in {seconds:.0f} s")


def report(folder: Path, options: argparse.Namespace) -> None:
    """Judge every trained supernet by the truths that are there."""
    lines = truth_lines(folder)
    judged: dict[str, Any] = {}
    scores: list[dict[str, Any]] = []
    alone: dict[str, Any] = {}
    for name in options.only or CONFIGURATIONS:
        if not (folder / "runs" / name).exists():
            continue
        with opened(folder, name, options.data) as session:
            stage = session.run.table().stages.get("supernet")
            if stage is None or stage.state != "finished":
                continue
            session.workers = options.workers
            take(session.run, lines, scores)
            settings = RankSettings(MEMBERS, SEEDS, RECIPE, FAMILIES, train=False)
            found = rank(session, settings)
            print(f"== {name}\n{rank_table(found)}\n")
            judged[name] = described(session.run, found)
            alone = common(found)
            scores = [r for r in session.run.records() if r["kind"] == ZERO_COST_SCORES]
    if options.record:
        write(folder, judged, alone, lines)


def take(run: Run, lines: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
    """Copy the study's truths and zero-cost scores into a run, as records of a ranking."""
    counted = {r["member"] for r in run.records() if r["kind"] == ZERO_COST_SCORES}
    for record in scores:
        if record["member"] not in counted:
            run.append(record)
    known = {(r["member"], r["seed_index"]) for r in run.records() if r["kind"] == TRUTH}
    for line in lines:
        if (line["member"], line["index"]) not in known:
            run.append(
                {
                    "kind": TRUTH,
                    "member": line["member"],
                    "seed_index": line["index"],
                    "recipe": RECIPE.recipe_hash,
                    "family": line["family"],
                    "decisions": line["decisions"],
                    "seconds": round(line["seconds"], 3),
                    "cross_entropy": line["ce"],
                    "error": line["error"],
                }
            )


def described(run: Run, found: RankReport) -> dict[str, Any]:
    seconds = sum(r["seconds"] for r in run.records() if r["kind"] == "study_seconds")
    document = found.to_dict()
    # What is common to all configurations is written once; decisions are drawn again from the seed.
    (document["calibration"] or {}).pop("held_out", None)
    document["members"] = {
        member.member: [
            round(value, 5)
            for value in (member.inherited_cross_entropy, member.untrained_cross_entropy)
        ]
        for member in found.members
    }
    return {"overrides": list(CONFIGURATIONS[run.name]), "train_seconds": seconds, **document}


def common(found: RankReport) -> dict[str, Any]:
    return {
        member.member: {
            "family": member.family,
            "cross_entropies": [round(value, 5) for value in member.cross_entropies],
            "errors": [round(value, 5) for value in member.errors],
            "scores": {name: float(f"{value:.6g}") for name, value in member.scores.items()},
        }
        for member in found.members
    }


def write(
    folder: Path,
    judged: Mapping[str, Any],
    alone: Mapping[str, Any],
    lines: list[dict[str, Any]],
) -> None:
    document = {
        "name": "trust_wired_cnn",
        "space": SPACE,
        **DATA,
        **json.loads((folder / "study.json").read_text()),
        "epochs": EPOCHS,
        "truth_seconds": round(sum(line["seconds"] for line in lines)),
        "machine": harness.machine(1),
        "members": alone,
        "configurations": judged,
    }
    path = harness.RESULTS / "trust_wired_cnn.json"
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    print(f"written: {path}")


STAGES = {"truth": truth, "supernet": supernet, "report": report}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", required=True, help="CIFAR-10 as nas reads it")
    parser.add_argument("--part", type=int, default=0, help="which share of the trainings")
    parser.add_argument("--of", type=int, default=1, help="how many shares there are")
    parser.add_argument("--limit", type=int, help="stop after this many trainings, to try it out")
    parser.add_argument("--only", nargs="*", choices=CONFIGURATIONS, help="configurations")
    parser.add_argument("--workers", type=int, default=1, help="scores at a time")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    harness.use_threads(1)
    STAGES[options.stage](options.folder, options)


if __name__ == "__main__":
    main()
