"""From nas.run/1 to nas.run/2: a trial may fail because its process died or its machine was lost.

Records of trials stay as they are. The number is new because a version of nas that knows only the
reasons of nas.run/1 would call a run with the new ones damaged, where it should call it newer.

Before this step nothing told the first versions apart, so it takes up what was special to them.
Keys of the config of a search are turned into those that mean the same, or come nearest. The first
confirmations chose and judged by the same test images: they are kept under names of their own, and
are no confirmation in the sense of today.
"""

from __future__ import annotations

from typing import Any

from nas.run_store.migrations import MIGRATIONS, Config, Migration
from nas.run_store.records import Record

_ALTERNATIONS = {"bilevel": "first_order", "one": "one_level"}
_BINS = 3


def with_keys_of_today(config: Config) -> Config:
    """Return the config of a search of an early version with the keys that searches have now."""
    if config.get("schema") != "nas.search/1":
        return config
    found = dict(config)
    for name, rename in (("supernet", _supernet), ("confirm", _confirm)):
        if isinstance(found.get(name), dict):
            found[name] = rename(dict(found[name]))
    return found


def _supernet(part: dict[str, Any]) -> dict[str, Any]:
    images = part.pop("recalibration_images", None)
    if images is not None:
        part["recalibration"] = {"images": images}
    relaxation = part.get("relaxation")
    if isinstance(relaxation, dict) and "level" in relaxation:
        others = {key: value for key, value in relaxation.items() if key != "level"}
        alternation = _ALTERNATIONS.get(str(relaxation["level"]), "first_order")
        part["relaxation"] = {**others, "alternation": alternation}
    return part


def _confirm(part: dict[str, Any]) -> dict[str, Any]:
    """Seeds of the only trainings there were become both kinds; the most points, those per bin."""
    seeds, most = part.pop("seeds", None), part.pop("max_points", None)
    if seeds is not None:
        part |= {"seeds_a": seeds, "seeds_b": seeds}
    if isinstance(most, int):
        part["shortlist"] = max(1, -(-most // _BINS))
    baselines = part.get("baselines")
    if isinstance(baselines, dict) and "published" in baselines:
        part["baselines"] = {key: each for key, each in baselines.items() if key != "published"}
        published = ["published"] if baselines["published"] else []
        part["rivals"] = ["space_wirings", *published, "random_members"]
    return part


_MARKS_OF_TODAY = {
    "confirm_planned": "recipes",
    "confirm_measured": "seconds",
    "confirm_finished": "purpose",
    "confirm_failed": "purpose",
}
"""Per kind of record of a confirmation, a field that the first versions did not write."""


def set_first_confirmations_apart(record: Record) -> Record:
    """Return a record of a first version's confirmation under a name that no view reads."""
    mark = _MARKS_OF_TODAY.get(record["kind"])
    if mark is None or mark in record:
        return record
    return {**record, "kind": f"early_{record['kind']}"}


MIGRATIONS.add(
    "to_2",
    Migration(
        to=2,
        why="Trials may fail with the reasons `died` and `lost`.",
        record=set_first_confirmations_apart,
        config=with_keys_of_today,
    ),
)
